"""Make the derived sample photos: one with GPS, one turned by EXIF orientation, one PNG."""

import csv
from pathlib import Path

import piexif
from PIL import Image

FOLDER = Path(__file__).resolve().parent.parent / "sample_photos"
QUALITY = 88
# From the north bank of the Seine, Avenue de New York, where the original was taken.
CAMERA = {
    piexif.GPSIFD.GPSVersionID: (2, 3, 0, 0),
    piexif.GPSIFD.GPSLatitudeRef: b"N",
    piexif.GPSIFD.GPSLatitude: ((48, 1), (51, 1), (4200, 100)),
    piexif.GPSIFD.GPSLongitudeRef: b"E",
    piexif.GPSIFD.GPSLongitude: ((2, 1), (17, 1), (3200, 100)),
}
ROTATED_90_CW = 6  # EXIF 2.32 section 4.6.4, Orientation


def main() -> None:
    """Write the three photos and their rows of attribution.csv; the same bytes every time."""
    with Image.open(FOLDER / "eiffel_tower.jpg") as photo:
        exif = piexif.dump({"GPS": CAMERA})
        photo.save(FOLDER / "eiffel_tower_with_gps.jpg", quality=QUALITY, exif=exif)
    with Image.open(FOLDER / "india_gate.jpg") as photo:
        exif = piexif.dump({"0th": {piexif.ImageIFD.Orientation: ROTATED_90_CW}})
        turned = photo.transpose(Image.Transpose.ROTATE_90)
        turned.save(FOLDER / "india_gate_turned.jpg", quality=QUALITY, exif=exif)
    with Image.open(FOLDER / "louvre.jpg") as photo:
        photo.save(FOLDER / "louvre_screen.png", optimize=True)
    attribute(
        {
            "eiffel_tower_with_gps.jpg": "eiffel_tower.jpg",
            "india_gate_turned.jpg": "india_gate.jpg",
            "louvre_screen.png": "louvre.jpg",
        }
    )


def attribute(derived: dict[str, str]) -> None:
    """Give each derived photo the attribution of its original."""
    table = FOLDER / "attribution.csv"
    with table.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or ())
        rows = [row for row in reader if row["file"] not in derived]
    originals = {row["file"]: row for row in rows}
    rows += [originals[original] | {"file": name} for name, original in derived.items()]
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
