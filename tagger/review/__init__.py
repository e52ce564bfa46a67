"""The review of a report and the trial of a photo, in the browser or as one HTML file."""
