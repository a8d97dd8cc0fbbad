// A chart as a picture. Plotly's own button leaves out the title and, since an image cannot use the page's fonts,
// measures with one font and draws with another: so the drawing is copied as it stands and takes its fonts along.
const FONTS = ["inter-latin.woff2", "inter-latin-ext.woff2"], HEAD = 56, EDGE = 16, SCALE = 2;
const SVG = "http://www.w3.org/2000/svg";

const encoded = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(blob);
});
const face = async (file) => {
  const answer = await fetch(`app/static/${file}`);
  return `@font-face { font-family: Inter; font-weight: 100 900; src: url(${await encoded(await answer.blob())}) }`;
};
const made = (name, attributes, text = "") => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
};
const drawing = async (plot, data) => {
  const width = plot.clientWidth + 2 * EDGE, height = plot.clientHeight + HEAD + EDGE;
  const root = made("svg", { xmlns: SVG, width: width * SCALE, height: height * SCALE, viewBox: `0 0 ${width} ${height}` });
  const font = { "font-family": "Inter, sans-serif", x: EDGE };
  root.append(
    made("style", {}, (await Promise.all(FONTS.map(face))).join(" ")),
    made("rect", { width, height, fill: data.ground }),
    made("text", { ...font, y: 26, "font-size": 15, "font-weight": 600, fill: data.ink }, data.title),
    made("text", { ...font, y: 44, "font-size": 12, fill: data.grey }, data.note),
  );
  const place = made("g", { transform: `translate(${EDGE} ${HEAD})` });
  for (const layer of plot.querySelectorAll(".main-svg")) {
    const copy = layer.cloneNode(true);
    copy.querySelectorAll(".hoverlayer").forEach((one) => one.remove());
    copy.removeAttribute("style");
    place.append(copy);
  }
  root.append(place);
  return root;
};
const loaded = async (root) => {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(root))}`;
  await image.decode();
  return image;
};
const save = (canvas, name) => canvas.toBlob((blob) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});

export default function ({ data, parentElement }) {
  const button = parentElement.querySelector("button");
  button.onclick = async () => {
    const plot = document.querySelector(`.${CSS.escape(data.chart)} .js-plotly-plot`);
    if (!plot) return;
    button.disabled = true;
    try {
      const image = await loaded(await drawing(plot, data));
      const canvas = document.createElement("canvas");
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      canvas.getContext("2d").drawImage(image, 0, 0);
      save(canvas, data.file);
    } finally { button.disabled = false; }
  };
}
