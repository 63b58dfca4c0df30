// What is wrong with the page for people who see badly or use no mouse: a sentence each. Rules by WCAG 2.2, level AA.
(() => {
  "use strict";
  const faults = [];
  const visible = (node) => {
    const box = node.getBoundingClientRect(), style = getComputedStyle(node);
    return box.width > 0 && box.height > 0 && box.right > 0 && style.visibility !== "hidden" && style.display !== "none";
  };
  const name = (node) => `<${node.tagName.toLowerCase()}${node.className && node.className.baseVal === undefined ? "." + node.className : ""}> ` +
    JSON.stringify((node.textContent || "").trim().slice(0, 40));

  const rgba = (text) => {
    const parts = /^rgba?\(([^)]*)\)$/.exec(text);
    if (!parts) return null;
    const [r, g, b, a = 1] = parts[1].split(/[\s,/]+/).filter(Boolean).map(Number);
    return [r, g, b, a];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  // What lies behind a node: backgrounds from the page's own ground up.
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour && colour[3] > 0) layers.push(colour);
      if (colour && colour[3] === 1) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };

  // 1.4.3: text.
  let texts = 0, least = Infinity;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || ["SCRIPT", "STYLE"].includes(node.tagName) || !visible(node)) continue;
    const style = getComputedStyle(node);
    const inks = rgba(node instanceof SVGElement ? style.fill : style.color);
    if (!inks) { faults.push(`${name(node)} has ink that is no colour: ${style.fill}`); continue; }
    const behind = ground(node), ratio = contrast(over(inks, behind), behind);
    const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
    const needed = size >= 24 || (bold && size >= 18.66) ? 3 : 4.5;
    texts += 1;
    least = Math.min(least, ratio);
    if (ratio < needed) faults.push(`${name(node)}: contrast ${ratio.toFixed(2)}, ${needed} is needed`);
  }
  // 1.4.11: lines of charts and edges of buttons.
  let marks = 0;
  for (const node of document.querySelectorAll("svg .line, button")) {
    if (!visible(node.closest("svg, button"))) continue;
    const style = getComputedStyle(node);
    const ink = rgba(node.tagName === "BUTTON" ? style.borderTopColor : style.stroke);
    const behind = ground(node.tagName === "BUTTON" ? node.parentElement : node);
    marks += 1;
    if (!ink || contrast(over(ink, behind), behind) < 3) faults.push(`${name(node)}: its line has too little contrast`);
  }

  // 1.1.1, 4.1.2: names of what is no text.
  const labelled = (node) => node.getAttribute("aria-label") ||
    (node.getAttribute("aria-labelledby") || "").split(/\s+/).filter(Boolean).map((id) => document.getElementById(id)?.textContent || "").join(" ").trim();
  for (const image of document.images) if (!image.hasAttribute("alt")) faults.push(`${image.src} has no alt`);
  for (const svg of document.querySelectorAll("svg")) {
    const hidden = svg.closest("[aria-hidden=true]");
    if (!hidden && !(svg.getAttribute("role") === "img" && (labelled(svg) || svg.querySelector("title")))) {
      faults.push(`an svg without role and name: ${svg.outerHTML.slice(0, 80)}`);
    }
  }
  for (const node of document.querySelectorAll("a[href], button, [tabindex]")) {
    if (!labelled(node) && !node.textContent.trim()) faults.push(`${node.outerHTML.slice(0, 80)} has no name`);
    if (Number(node.getAttribute("tabindex")) > 0) faults.push(`${name(node)} jumps the order of focus`);
  }
  for (const node of document.querySelectorAll("[tabindex='0']")) {
    if (!node.getAttribute("role")) faults.push(`${name(node)} takes focus and has no role`);
  }
  for (const node of document.querySelectorAll("[aria-labelledby]")) {
    if (!labelled(node)) faults.push(`${name(node)} is labelled by what is not there`);
  }

  // 1.3.1, 2.4.x, 3.1.1: structure.
  if (!document.documentElement.lang) faults.push("the page has no language");
  if (!document.title.trim()) faults.push("the page has no title");
  for (const [what, count] of [["main", 1], ["h1", 1], ["nav", 1], ["header", 1]]) {
    const found = document.querySelectorAll(what).length;
    if (found !== count) faults.push(`${found} of ${what}, ${count} is right`);
  }
  const main = document.querySelector("main"), header = document.querySelector("header");
  for (const node of document.body.children) {
    if (![main, header].includes(node) && node.textContent.trim() && !node.matches("a.skip, script")) faults.push(`${name(node)} is in no landmark`);
  }
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) faults.push(`${name(heading)} skips a level`);
    level = own;
  }
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) faults.push(`the id ${id} occurs twice`);
  for (const cell of document.querySelectorAll("th")) if (!cell.getAttribute("scope")) faults.push(`${name(cell)} heads nothing`);

  // 2.5.8: small targets, but for links in text.
  for (const button of document.querySelectorAll("button")) {
    const box = button.getBoundingClientRect();
    if (visible(button) && Math.min(box.width, box.height) < 24) faults.push(`${name(button)} is too small to hit`);
  }
  // 1.4.10: nothing but tables scrolls sideways.
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) faults.push(`the page is ${wide} wide on a screen of ${innerWidth}`);
  return { faults, texts, marks, least };
})()
