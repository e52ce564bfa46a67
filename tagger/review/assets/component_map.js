export default function (component) {
  const { parentElement, data, setTriggerValue } = component;
  drawWorld(parentElement.querySelector(".world-host"), {
    ...data,
    onPick: data.picks ? (point) => setTriggerValue("pick", point) : null,
    onPlace: data.chooses ? (place) => setTriggerValue("place", place) : null,
  });
}
