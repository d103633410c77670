(() => {
  "use strict";
  const partner = JSON.parse(document.getElementById("colours").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)");
  const NARROW = 500;

  // Figures come in light colours; every colour has one dark partner.
  const recoloured = (value, isColour) => {
    if (typeof value === "string") return isColour && Object.hasOwn(partner, value) ? partner[value] : value;
    if (Array.isArray(value)) return value.map((item) => recoloured(item, isColour));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, recoloured(item, isColour || /color/.test(key))]),
    );
  };

  const draw = (place) => {
    let figure = JSON.parse(place.nextElementSibling.textContent);
    if (dark.matches) figure = recoloured(figure, false);
    const narrow = place.clientWidth < NARROW;
    const layout = narrow ? figure.narrow : figure.layout;
    if (touch.matches || narrow) layout.dragmode = false; // a finger scrolls the page
    place.dataset.narrow = narrow;
    place.style.minHeight = `${layout.height}px`;
    const config = {
      responsive: true,
      displaylogo: false,
      displayModeBar: touch.matches || narrow ? false : "hover",
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
      showSendToCloud: false,
      plotlyServerURL: "",
    };
    return Plotly.react(place, figure.data, layout, config);
  };

  const places = [...document.querySelectorAll(".plot")];
  const drawAll = () => Promise.all(places.map(draw));
  drawAll().then(() => { document.documentElement.dataset.drawn = places.length; });
  dark.addEventListener("change", drawAll);
  addEventListener("resize", () => {
    places.filter((place) => place.dataset.narrow !== String(place.clientWidth < NARROW)).forEach(draw);
  });

  const key = (row, column) => {
    const cell = row.cells[column];
    return "key" in cell.dataset ? Number(cell.dataset.key.replace("inf", "Infinity")) : cell.textContent;
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));

  document.querySelectorAll("table.sortable th button").forEach((button) => {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const body = button.closest("table").tBodies[0];
      const descending = head.getAttribute("aria-sort") === "ascending";
      head.parentNode.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const rows = [...body.rows].sort((a, b) => compare(key(a, head.cellIndex), key(b, head.cellIndex)));
      body.append(...(descending ? rows.reverse() : rows));
    });
  });
})();
