(() => {
  "use strict";
  const NARROW = 500;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)");

  // Figures come in light colours; every colour has one dark partner.
  const recoloured = (value, partner, isColour) => {
    if (typeof value === "string") return isColour && Object.hasOwn(partner, value) ? partner[value] : value;
    if (Array.isArray(value)) return value.map((item) => recoloured(item, partner, isColour));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, recoloured(item, partner, isColour || /color/.test(key))]),
    );
  };

  const width = (name) => {
    const place = document.getElementById(JSON.stringify({ kind: "graph", of: name }))?.closest(".place");
    return place?.clientWidth || innerWidth;
  };

  const draw = (payload, _look, id, partner) => {
    if (!payload) return [{ data: [], layout: {} }, {}, { display: "none" }];
    const narrow = width(id.of) < NARROW;
    let figure = { data: payload.data, layout: narrow ? payload.narrow : payload.layout };
    if (dark.matches) figure = recoloured(figure, partner, false);
    const { height, ...layout } = figure.layout;
    if (touch.matches || narrow) layout.dragmode = false; // a finger scrolls the page
    const config = {
      displaylogo: false,
      displayModeBar: touch.matches || narrow || payload.least ? false : "hover",
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
      showSendToCloud: false,
      plotlyServerURL: "",
    };
    const style = { height: `${height}px`, minWidth: payload.least ? `${payload.least}px` : "0" };
    return [{ data: figure.data, layout }, config, style];
  };

  const title = (search) => {
    const study = new URLSearchParams(search ?? "").get("study");
    document.title = study ? `${study} · nas` : "nas dashboard";
    return document.title;
  };

  window.dash_clientside = { ...window.dash_clientside, nas: { draw, title } };

  let looks = 0;
  let before = innerWidth;
  const again = () => window.dash_clientside.set_props?.("look", { data: ++looks });
  dark.addEventListener("change", again);
  addEventListener("resize", () => {
    if (innerWidth !== before) { before = innerWidth; again(); }
  });
})();
