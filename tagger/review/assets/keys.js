// Keys for what Streamlit has no button for: L names another landmark, M opens the map.
const KEYS = { l: ".st-key-other_landmark input", m: ".st-key-other_place summary" };
document.onkeydown = (event) => {
  if (event.target.closest("input, textarea, [contenteditable]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const wanted = document.querySelector(KEYS[event.key.toLowerCase()] ?? "none");
  if (!wanted) return;
  event.preventDefault();
  wanted.focus();
  if (wanted.tagName === "SUMMARY") wanted.click();
};

export default function ({ parentElement }) {
  parentElement.querySelector("button").onclick = () =>
    document.querySelector("[data-testid=stExpandSidebarButton], [data-testid=stExpandSidebarButton] button")?.click();
}
