// What a message says is text and stays text: it goes into the page as textContent alone,
// and Trusted Types forbid anything else.
const channels = { sms: "Text message", voice: "Call", email: "Mail" };
const list = document.getElementById("messages");
const empty = document.getElementById("empty");
const state = document.getElementById("state");
const news = document.getElementById("news");
const blank = document.getElementById("message").content;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const most = 200; // as many as the demo keeps

const events = new EventSource("/events");
events.addEventListener("kept", (e) => {
  list.replaceChildren();
  add(JSON.parse(e.data), false);
  say("live", "New messages appear here by themselves.");
});
events.addEventListener("arrived", (e) => {
  const messages = JSON.parse(e.data);
  add(messages, true);
  news.textContent = messages.map(aloud).join(" ");
});
events.onerror = () => say("ended", "The demo does not answer; it may have ended. This page tries again by itself.");

function add(messages, fresh) {
  for (const m of messages) list.prepend(row(m, fresh));
  while (list.children.length > most) list.lastElementChild.remove();
  empty.hidden = list.children.length > 0;
  document.title = list.children.length ? `Inbox (${list.children.length}) · Sallyport demo` : "Inbox · Sallyport demo";
}

function row(m, fresh) {
  const item = blank.cloneNode(true).firstElementChild;
  const part = (selector) => item.querySelector(selector);
  item.classList.toggle("new", fresh);
  part("use").setAttribute("href", "#" + (m.channel in channels ? m.channel : "email"));
  part(".channel").textContent = channels[m.channel] ?? m.channel;
  part(".to").textContent = m.to;
  part("time").dateTime = m.at;
  part("time").textContent = clock.format(new Date(m.at));
  part(".text").textContent = m.text;
  if (m.subject) show(part(".subject")).textContent = m.subject;
  if (m.code) {
    show(part(".code"));
    part("code").textContent = m.code;
    part("button").onclick = (e) => copy(m.code, part("code"), e.currentTarget);
  }
  if (m.html) {
    part("details").ontoggle = () => {
      part("iframe").src ||= "/mails/" + encodeURIComponent(m.id);
    };
  } else {
    part("details").remove();
  }
  return item;
}

function show(element) {
  element.hidden = false;
  return element;
}

function say(name, text) {
  state.className = name;
  state.textContent = text;
}

// aloud is what a screen reader says of a message: a code as digits, not as a number.
function aloud(m) {
  const code = m.code ? `: code ${[...m.code].join(" ")}` : m.subject ? `: ${m.subject}` : "";
  return `${channels[m.channel] ?? m.channel} to ${m.to}${code}.`;
}

async function copy(code, where, button) {
  try {
    await navigator.clipboard.writeText(code);
    told(button, "Copied");
  } catch { // the browser does not allow it: one key is left to press
    getSelection().selectAllChildren(where);
    told(button, "Selected");
  }
}

function told(button, word) {
  const label = button.dataset.label ??= button.firstChild.textContent;
  button.firstChild.textContent = word;
  news.textContent = `${word}.`;
  clearTimeout(button.timer);
  button.timer = setTimeout(() => { button.firstChild.textContent = label; }, 2000);
}
