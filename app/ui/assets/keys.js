// The page in the browser: which tab is shown, what is sent when, and the keys of the Label tab.
// Every element with data-action="name" sends its data-* values (a form: its fields too) to the handler bound to that
// name (app/ui/actions.py). One call per name is under way at a time; those that fill the same view wait for each other
// (AFTER), the last one asked for winning. A choice is acknowledged before it is answered.
(() => {
  "use strict";
  const PAGES = ["overview", "label", "chat", "train", "win-rates", "data", "settings"];
  const EVERY_MS = { overview: 4000, train: 2000, "win-rates": 15000 };
  const STUCK_MS = 60000;
  const READ_MS = 250; // a pair cannot be chosen sooner: the second half of a double press is no choice
  const REPLIES = ["say", "regenerate"], OPENS = ["open-chat", "new-chat"], LOOKS = ["run-detail", "verdicts", "rubric"];
  const AFTER = { say: ["refresh-chat", ...OPENS], regenerate: ["refresh-chat", ...OPENS],
    "open-chat": REPLIES, "new-chat": REPLIES, "refresh-chat": [...REPLIES, ...OPENS], "own-prompt": ["choose", "undo", "refresh-label"], choose: ["refresh-label"], undo: ["refresh-label"],
    "pick-baseline": ["refresh-win-rates"], "pick-board": ["refresh-win-rates"], "refresh-win-rates": ["pick-baseline", "pick-board"],
    verdicts: ["judge-verdict"], "judge-verdict": ["verdicts"], rubric: ["save-rubric"], "check-rubric": ["save-rubric"], "save-rubric": ["check-rubric", "rubric"] };
  const pending = {}, underway = {}, refreshed = {}, clientIds = {};
  let shown = { id: "", at: 0 }, waiting = null, said = "", looked = "", polled = "";

  const $ = (selector, root = document) => root.querySelector(selector);
  const prefloop = (window.prefloop = {
    take: (name) => pending[name] ?? {},
    settled: (name) => {
      delete underway[name];
      if (["choose", "undo", "own-prompt"].includes(name)) $(".compare")?.classList.remove("is-sending");
      if (name === "own-prompt") document.body.classList.remove("is-writing");
      if (REPLIES.includes(name)) document.body.classList.remove("is-replying");
      if (LOOKS.includes(name)) looked === location.hash ? document.body.classList.remove("is-looking") : look(place().page, place().item);
      if (name === "say") giveBack();
      if (name === "start-run") setTimeout(() => $("#next-run [aria-invalid=true]")?.focus(), 60);
      if (waiting && !held(waiting.name)) {
        const { name: next, payload } = waiting;
        waiting = null;
        if (send(next, payload) && next === "choose") $(".compare")?.classList.add("is-sending");
      }
    },
  });

  function busy(name) {
    return underway[name] && Date.now() - underway[name] < STUCK_MS;
  }

  const held = (name) => (AFTER[name] ?? []).some(busy);

  function send(name, payload = {}) {
    const trigger = document.getElementById(`on-${name}`);
    if (!trigger || busy(name)) return false;
    if (held(name)) {
      if (name.startsWith("refresh-")) return false; // what is under way shows as much
      if (OPENS.includes(name)) send("stop");
      waiting = { name, payload };
      return true;
    }
    underway[name] = Date.now();
    pending[name] = place().page === "chat" ? { conversation: conversation(), ...payload } : payload;
    trigger.click();
    return true;
  }

  function conversation() {
    const log = $("#chat-view [data-current]");
    if (log) sessionStorage.setItem("conversation", log.dataset.current);
    return log?.dataset.current ?? sessionStorage.getItem("conversation") ?? "";
  }

  // ---- tabs -------------------------------------------------------------------------------------------------
  const place = () => {
    const [page, item] = location.hash.slice(1).split("/");
    return { page: PAGES.includes(page) ? page : "overview", item: item && decodeURIComponent(item) };
  };

  function refresh(page) {
    if (page === "label" && (busy("choose") || busy("own-prompt"))) return;
    if (send(`refresh-${page}`, kept(page))) refreshed[page] = Date.now();
  }

  // What the page's selectors say, which a refresh must keep.
  function kept(page) {
    const fields = {};
    for (const form of document.querySelectorAll(`#page-${page} form[data-kept]`)) Object.assign(fields, Object.fromEntries(new FormData(form)));
    return fields;
  }

  function show() {
    const { page, item } = place();
    document.body.dataset.page = page;
    if (item) document.body.dataset.item = item;
    else delete document.body.dataset.item;
    for (const link of document.querySelectorAll("nav.tabs a")) {
      if (link.hash === `#${page}`) {
        link.setAttribute("aria-current", "page");
        document.title = `${link.textContent.trim()} · PrefLoop`;
        link.scrollIntoView({ block: "nearest", inline: "nearest" });
      } else link.removeAttribute("aria-current");
    }
    refresh(page);
    send(`show-${page}`);
    document.body.classList.toggle("is-looking", Boolean(item) && looked !== location.hash);
    look(page, item);
    requestAnimationFrame(() => window.dispatchEvent(new Event("resize"))); // charts drawn while hidden
  }

  // The page of one run, evaluation or rubric; hidden while it still shows another.
  function look(page, item) {
    if (!item) return;
    const asked = (page === "train" && send("run-detail", { run: item })) || (page === "win-rates" && send("verdicts", { evaluation: item })) || (page === "settings" && send("rubric", { rubric: item }));
    if (asked) looked = location.hash;
  }

  function tick() {
    if (document.hidden) return;
    const { page, item } = place(), now = Date.now();
    if (now - (refreshed.header ?? 0) > 4000 && send("refresh-header")) refreshed.header = now;
    follow(page, now);
    const every = $(`#page-${page} [data-poll]`) ? 1000 : EVERY_MS[page];
    if (!every || now - (refreshed[page] ?? 0) < every) return;
    refresh(page);
    if (page === "train") look(page, item);
    if ($(`#page-${page} [data-poll]`)) send(`show-${page}`);
  }

  // What asks to be followed, data-polls="name", is asked for each second; once it no longer does, it has ended.
  function follow(page, now) {
    const name = $(`#page-${page} [data-polls]`)?.dataset.polls ?? "";
    if (polled && !name) refresh(page);
    polled = name;
    if (name && now - (refreshed[name] ?? 0) >= 1000 && send(name)) refreshed[name] = now;
  }

  function start() {
    if (!document.getElementById("on-refresh-header") || !$("nav.tabs a")) return void setTimeout(start, 30);
    addEventListener("hashchange", () => (scrollTo(0, 0), show()));
    show();
    tick();
    setInterval(tick, 500);
    new MutationObserver(watch).observe($("#label-view") ?? document.body, {
      subtree: true, childList: true, attributes: true, attributeFilter: ["data-comparison"],
    });
    watch();
    new MutationObserver(conversation).observe($("#chat-view") ?? document.body, {
      subtree: true, childList: true, attributes: true, attributeFilter: ["data-current"],
    }); // remembered for a reload
    new MutationObserver(drawnAnew).observe($("#rubric-form") ?? document.body, {
      subtree: true, attributes: true, attributeFilter: ["data-drawn"],
    });
  }

  // The page patches what is there, and a field that was typed in keeps its text when another version comes.
  function drawnAnew() {
    const box = $("#rubric-source");
    if (box) box.value = box.defaultValue;
  }

  function watch() {
    const id = $(".compare")?.dataset.comparison ?? ""; // the same pair drawn anew can be chosen at once
    if (id === shown.id) return;
    shown = { id, at: performance.now() };
    for (const card of document.querySelectorAll(".compare .side .text")) card.scrollTop = 0;
    const prompt = $(".compare .prompt");
    if (prompt) prompt.scrollTop = prompt.scrollHeight; // of a conversation, the turn the completions reply to
  }

  // ---- choices ----------------------------------------------------------------------------------------------
  function clientId(of) {
    if (!clientIds[of]) {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      clientIds[of] = Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
    }
    return clientIds[of];
  }

  function choose(choice, clearly) {
    const pair = $(".compare[data-comparison]");
    if (!pair || ["choose", "undo", "own-prompt"].some(busy) || waiting?.name === "choose" || performance.now() - shown.at < READ_MS) return;
    const reason = $("#reason");
    const sent = send("choose", {
      comparison: pair.dataset.comparison,
      client: clientId(pair.dataset.shown),
      choice,
      strength: clearly && (choice === "left" || choice === "right") ? "clearly" : "",
      reason: reason?.value ?? "",
    });
    if (!sent) return;
    pair.dataset.picked = choice;
    pair.classList.add("is-sending");
    if (reason) reason.value = "";
    $(".reason")?.setAttribute("hidden", "");
  }

  function addReason() {
    const box = $(".reason");
    if (!box) return;
    box.removeAttribute("hidden");
    $("#reason").focus();
  }

  const CODES = { Digit1: "left", Numpad1: "left", ArrowLeft: "left", Digit2: "right", Numpad2: "right",
    ArrowRight: "right", Digit3: "tie", Numpad3: "tie", Digit4: "both_bad", Numpad4: "both_bad" };

  function typing(target) {
    return target instanceof Element && target.closest("input, textarea, select, [contenteditable=true], [role=textbox]");
  }

  addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.id === "reason") return void (event.preventDefault(), event.target.blur());
    if (event.key === "Escape" && typing(event.target)) event.target.blur();
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target.matches?.("textarea[data-enter]")) {
      event.preventDefault();
      return void event.target.form.requestSubmit();
    }
    if (event.repeat || typing(event.target) || $("dialog[open]")) return;
    if (event.key === "?") return void (event.preventDefault(), $("#keys")?.showModal());
    if (place().page !== "label") return;
    const letter = event.key.toLowerCase();
    const choice = CODES[event.code] ?? (letter === "s" ? "skip" : null);
    if (choice) choose(choice, event.shiftKey);
    else if (letter === "u") undo();
    else if (letter === "r") addReason();
    else return;
    event.preventDefault();
  });

  function undo() {
    if (busy("choose") || busy("own-prompt") || waiting?.name === "choose") return;
    if (send("undo")) $(".compare")?.classList.add("is-sending");
  }

  // ---- clicks and forms -------------------------------------------------------------------------------------
  addEventListener("click", (event) => {
    const chart = event.target.closest?.("#page-win-rates .js-plotly-plot");
    const point = chart?._hoverdata?.[0]?.customdata?.[1]; // the one under the pointer
    if (point) location.hash = `win-rates/${encodeURIComponent(point)}`;
    const element = event.target.closest?.("[data-action], [data-choice]");
    if (!element || element.tagName === "FORM") return;
    if (element.dataset.choice) {
      if (event.detail < 2) choose(element.dataset.choice, event.shiftKey);
      return;
    }
    const { action, confirm: question, ...payload } = element.dataset;
    if (action === "keys") return void $("#keys")?.showModal();
    if (action === "reason") return void addReason();
    if (action === "undo") return void undo();
    if (action === "whole") return void whole(element);
    if (action === "to-line") return void toLine($("#rubric-source"), Number(payload.line));
    if (action === "edit-reply") return void editReply(element.closest(".turn"));
    if (question && !confirm(question)) return;
    if (action === "regenerate") document.body.classList.add("is-replying");
    if (OPENS.includes(action)) $("#message")?.focus();
    if (send(action, payload) && action === "say") saying(payload);
  });

  function saying(payload) {
    said = payload.text;
    document.body.classList.add("is-replying");
    $(".talk .scroller").scrollTop = 0; // the newest words are at the bottom, where it begins
  }

  addEventListener("submit", (event) => {
    const form = event.target.closest?.("form[data-action]");
    if (!form) return;
    event.preventDefault();
    const { action: usual, ...payload } = form.dataset;
    const action = event.submitter?.dataset.as ?? usual; // a form may have a second button
    for (const [name, value] of new FormData(form, event.submitter)) payload[name] = value;
    if (action === "say" && !payload.text.trim()) return;
    if (!send(action, payload)) return;
    if (action === "say") saying(payload);
    if (action === "own-prompt") {
      document.body.classList.add("is-writing");
      $(".compare")?.classList.add("is-sending");
      $("#label-view").scrollIntoView({ block: "end", behavior: "instant" });
    }
    if ("reset" in payload) form.reset();
  });

  let typed = 0;
  addEventListener("input", (event) => {
    const form = event.target.closest?.("form[data-live]");
    if (!form) return;
    clearTimeout(typed);
    typed = setTimeout(() => (busy(form.dataset.action) ? form.dispatchEvent(new Event("input", { bubbles: true })) : form.requestSubmit()), 200);
  });

  addEventListener("change", (event) => {
    if (event.target.matches?.("select[data-submits]")) event.target.form.requestSubmit();
  });

  function editReply(turn) {
    const form = $("form.better", turn);
    form.hidden = !form.hidden;
    if (!form.hidden) $("textarea", form).focus();
    form.scrollIntoView({ block: "nearest" });
  }

  function whole(button) {
    const open = button.closest("tr").classList.toggle("open");
    button.setAttribute("aria-expanded", open);
    button.textContent = open ? "Shorter" : "Whole texts";
  }

  // Selects a line of the text, counted from 1.
  function toLine(box, number) {
    const lines = box.value.split("\n"), start = lines.slice(0, number - 1).join("\n").length + (number > 1);
    box.focus();
    box.setSelectionRange(start, start + (lines[number - 1] ?? "").length);
    box.scrollTop = (box.scrollHeight * (number - 4)) / lines.length;
  }

  // A message that was not taken (the model still loads) is no message lost.
  function giveBack() {
    const box = $("#message"), last = [...document.querySelectorAll("#chat-view .turn.user .text")].pop();
    if (box && !box.value && said && last?.textContent.trim() !== said.trim()) box.value = said;
    said = "";
  }

  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
