// Fetches this page again every few seconds and swaps the parts that have changed. Without script the page is right, only still.
"use strict";
(() => {
  const EVERY_MS = 5000;
  const main = document.getElementById("main");
  const told = document.getElementById("refreshed");
  const pause = document.getElementById("pause");
  let paused = false;

  const key = (node, place) => node.id || node.getAttribute("aria-labelledby") || String(place);

  // Sections are compared one by one: pictures and clips in one that is as it was go on playing.
  const swap = (fresh) => {
    const old = new Map([...main.children].map((node, place) => [key(node, place), node]));
    const next = [...fresh.children].map((node, place) => {
      const before = old.get(key(node, place));
      return before && before.outerHTML === node.outerHTML ? before : document.importNode(node, true);
    });
    const focused = document.activeElement;
    const place = focused && main.contains(focused) ? focused.getAttribute("href") : null;
    const scrolled = [...main.querySelectorAll(".scroll")].map((node) => node.scrollLeft);
    main.replaceChildren(...next);
    [...main.querySelectorAll(".scroll")].forEach((node, nth) => { node.scrollLeft = scrolled[nth] || 0; });
    if (place) {
      const again = [...main.querySelectorAll("a")].find((link) => link.getAttribute("href") === place);
      if (again) again.focus({ preventScroll: true });
    }
  };

  const refresh = async () => {
    if (!paused && !document.hidden) {
      try {
        const answer = await fetch(location.origin + location.pathname + location.search, { cache: "no-store", credentials: "same-origin" });
        if (!answer.ok) throw new Error("the answer is " + answer.status);
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        swap(page.getElementById("main"));
        document.body.dataset.refreshed = String(Number(document.body.dataset.refreshed || 0) + 1);
        told.textContent = "as of " + new Date().toLocaleTimeString();
      } catch (error) {
        told.textContent = "no answer: these figures are old";
        document.body.dataset.stale = String(error);
      }
    }
    setTimeout(refresh, EVERY_MS);
  };

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
  });
  document.querySelector(".refresh").hidden = false;
  told.textContent = "as of " + new Date().toLocaleTimeString();
  setTimeout(refresh, EVERY_MS);
})();
