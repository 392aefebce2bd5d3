// What makes the pages handier. Without it everything works by loading a page again.
"use strict";

(() => {
  const page = document.documentElement;
  let ahead = Date.parse(page.dataset.now) - Date.now();

  // --- how long ago, how long until ---

  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

  function length(seconds) {
    const at = units.findIndex(([size]) => seconds >= size);
    if (at < 0) return "0 s";
    const [size, name] = units[at];
    const first = Math.floor(seconds / size);
    const next = units[at + 1];
    const rest = next && size >= 3600 ? Math.floor((seconds % size) / next[0]) : 0;
    return `${first} ${name}` + (rest ? ` ${rest} ${next[1]}` : "");
  }

  function tellAges(root) {
    const now = Date.now() + ahead;
    for (const one of root.querySelectorAll("time[data-age]")) {
      const seconds = Math.round((now - Date.parse(one.dateTime)) / 1000);
      const text = seconds < -1 ? `in ${length(-seconds)}` : `${length(Math.max(seconds, 0))} ago`;
      if (one.textContent !== text) one.textContent = text;
    }
  }
  tellAges(document);
  setInterval(() => tellAges(document), 1000);

  // --- parts that change while somebody looks ---

  // Makes `old` like `fresh` and keeps what is alike, so that focus, scrolling and what is unfolded stay.
  function become(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE || old.isEqualNode(fresh)) return;
    for (const { name } of [...old.attributes])
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    for (const { name, value } of fresh.attributes)
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    becomeInside(old, fresh);
  }

  function becomeInside(old, fresh) {
    const before = [...old.childNodes], after = [...fresh.childNodes];
    after.forEach((node, place) => (place < before.length ? become(before[place], node) : old.append(node)));
    before.slice(after.length).forEach((node) => node.remove());
  }

  function put(id, html) {
    const old = document.getElementById(id);
    if (!old) return;
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    const known = new Set([...old.querySelectorAll("tr[data-key]")].map((row) => row.dataset.key));
    tellAges(fresh.content);
    becomeInside(old, fresh.content);
    if (known.size)
      for (const row of old.querySelectorAll("tr[data-key]"))
        row.classList.toggle("fresh", !known.has(row.dataset.key));
  }

  function watch(bar) {
    const words = bar.querySelector(".live-text"), button = bar.querySelector("button");
    let source = null;

    function show(state, text) {
      bar.className = `live ${state}`;
      if (words.textContent !== text) words.textContent = text;
    }
    function stop() {
      if (source) source.close();
      source = null;
    }
    function start() {
      source = new EventSource(bar.dataset.live);
      show("", "connecting");
      source.addEventListener("open", () => show("on", "live"));
      source.addEventListener("error", () => show("off", "not live, trying again"));
      source.addEventListener("over", () => {
        stop();
        show("off", "over, loading again");
        setTimeout(() => location.reload(), 2000);
      });
      source.addEventListener("region", (event) => {
        const region = JSON.parse(event.data);
        ahead = Date.parse(region.now) - Date.now();
        put(region.id, region.html);
        page.dataset.updates = String(Number(page.dataset.updates || 0) + 1);
      });
    }
    button.addEventListener("click", () => {
      const paused = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(paused));
      stop();
      if (paused) show("off", "paused");
      else start();
    });
    bar.hidden = false;
    start();
    addEventListener("pagehide", stop);
    addEventListener("pageshow", (event) => { if (event.persisted && !source) start(); });
  }
  document.querySelectorAll("[data-live]").forEach(watch);

  // --- the pictures of a day, where they are wider than the window ---

  addEventListener("load", () => {
    for (const scroll of document.querySelectorAll(".day .scroll")) {
      const now = scroll.querySelector(".now line");
      const from = scroll.getBoundingClientRect().left;
      const at = now ? now.getBoundingClientRect().left - from : scroll.scrollWidth / 2;
      scroll.scrollLeft = at - scroll.clientWidth / 2;
    }
  });

  // --- forms ---

  for (const field of document.querySelectorAll("[data-autosubmit]"))
    field.addEventListener("change", () => field.form.requestSubmit());

  for (const field of document.querySelectorAll("[data-into]"))
    field.addEventListener("change", async () => {
      const [file] = field.files;
      if (!file || file.size > 1048576) return;
      document.getElementById(field.dataset.into).value = await file.text();
      field.value = "";
    });

  for (const form of document.querySelectorAll("form[data-dry-run]"))
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const outcome = document.getElementById("outcome");
      outcome.classList.add("waiting");
      try {
        const answer = await fetch(form.action, {
          method: "POST", body: new FormData(form), headers: { "X-Requested-With": "fetch" },
        });
        const text = await answer.text();
        if (answer.ok) outcome.innerHTML = text;
        else outcome.textContent = text;
      } catch {
        outcome.textContent = "The daemon does not answer.";
      }
      outcome.classList.remove("waiting");
      offerCopies(outcome);
      outcome.focus({ preventScroll: true });
      outcome.scrollIntoView({ block: "nearest" });
    });

  function offerCopies(root) {
    for (const button of root.querySelectorAll("[data-copy]")) {
      if (!navigator.clipboard) continue;
      button.hidden = false;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).innerText);
        button.textContent = "Copied";
      });
    }
  }
  offerCopies(document);
})();
