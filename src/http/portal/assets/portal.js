// What saves a reload. Every page works without it.

// Texts to take along.
function copying() {
  for (const button of document.querySelectorAll('[data-copy][hidden]')) copy(button);
}
function copy(button) {
  if (!navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener('click', async () => {
    const text = button.parentElement.querySelector('code, output').textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Select and copy it by hand';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 6000);
  });
}
copying();

// What is shown once goes with its reader: no step back brings it back.
addEventListener('pagehide', () => {
  for (const part of document.querySelectorAll('[data-once]')) part.replaceChildren();
});

// What changes while somebody looks: the hub says that it did, and the page itself is fetched and the part taken over. What is open stays
// open, and who stands in a field stays there.
async function renew(address) {
  const answer = await fetch(address, { headers: { accept: 'text/html' }, credentials: 'same-origin' });
  if (answer.redirected || !answer.ok) return location.reload();
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  for (const part of document.querySelectorAll('div[data-live]')) {
    const fresh = page.getElementById(part.id);
    if (!fresh) return location.reload();
    const open = [...part.querySelectorAll('details')].map((details) => details.open);
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const all = 'a, button, summary, input, select, textarea, [tabindex]';
    const place = focused ? [...part.querySelectorAll(all)].indexOf(focused) : -1;
    const same = (node) => node.outerHTML === focused.outerHTML;
    part.replaceChildren(...fresh.childNodes);
    part.querySelectorAll('details').forEach((details, index) => { details.open = open[index] ?? details.open; });
    const there = [...part.querySelectorAll(all)];
    if (place >= 0) (there.find(same) ?? there[place] ?? document.getElementById('main')).focus();
  }
  copying();
  return page;
}
// What goes on for minutes at somebody else's is looked at every few seconds, until it is over.
const polled = document.querySelector('[data-poll]');
if (polled) {
  const again = (seconds) => setTimeout(async () => {
    const page = await renew(location.href).catch(() => null);
    const next = page ? page.getElementById(polled.id)?.dataset.poll : seconds;
    if (next) again(next);
  }, seconds * 1000);
  again(polled.dataset.poll);
}
const live = document.querySelector('[data-live-from]');
if (live && window.EventSource) {
  let seen = live.dataset.liveSeen;
  const source = new EventSource(`${live.dataset.liveFrom}?seen=${encodeURIComponent(seen)}`);
  source.addEventListener('change', (event) => {
    if (event.data !== seen) { seen = event.data; renew(live.dataset.livePage).catch(() => {}); }
  });
  addEventListener('pagehide', () => source.close());
}

// What is wrong with a form is where a reader begins.
document.getElementById('errors')?.focus();

// The form of an order or a change. What it comes to is asked while somebody types, and entries of lists come and go without a reload:
// the form is sent to its page as it stands, and parts are taken out of what the server answers. One request is under way at a time.
for (const form of document.querySelectorAll('form[data-live]')) {
  form.classList.add('scripted');
  let queue = Promise.resolve();
  let timer;
  let waiting = false;

  const ask = async (name, value) => {
    const fields = new URLSearchParams(new FormData(form));
    fields.append(name, value);
    const address = form.getAttribute('action');
    const answer = await fetch(address, { method: 'POST', body: fields, redirect: 'error', signal: AbortSignal.timeout(20000) });
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    if (!page.querySelector('form[data-live]')) throw new Error('another page');
    return page;
  };
  const take = (page, part) => {
    const [old, fresh] = [form.querySelector(part), page.querySelector(part)];
    if (old && fresh) old.replaceChildren(...fresh.childNodes);
  };
  const outlook = (page) => {
    take(page, '[data-changes]');
    take(page, '[data-verdict]');
    const texts = page.querySelectorAll('[data-program] code');
    document.querySelectorAll('[data-program] code').forEach((code, place) => { code.textContent = texts[place]?.textContent ?? ''; });
  };
  const check = () => {
    if (waiting) return;
    waiting = true;
    queue = queue.then(async () => {
      waiting = false;
      try { outlook(await ask('do', 'look')); } catch { /* The page is still right; what is sent is checked again. */ }
    });
  };
  const turn = (name, value, target, fallback) => {
    clearTimeout(timer);
    queue = queue.then(async () => {
      try {
        const fields = () => [...form.querySelectorAll('input:not([type="hidden"]), select, textarea')].filter((field) => field.id);
        const stands = (field) => (field.type === 'checkbox' || field.type === 'radio' ? field.checked : field.value);
        const before = new Map(fields().map((field) => [field.id, stands(field)]));
        const page = await ask(name, value);
        // What was typed or chosen meanwhile is newer than the answer, and whoever went on to another field stays there.
        const newer = fields().filter((field) => stands(field) !== before.get(field.id)).map((field) => [field.id, stands(field)]);
        const at = form.contains(document.activeElement) ? document.activeElement.id : '';
        // What is secret is in no answer: what was typed stays.
        const secrets = new Map();
        for (const field of form.querySelectorAll('[autocomplete="new-password"]')) secrets.set(field.name, field.value);
        take(page, '[data-fields]');
        const of = page.querySelector('input[name="of"]');
        if (of) form.querySelector('input[name="of"]').value = of.value;
        for (const field of form.querySelectorAll('[autocomplete="new-password"]')) field.value = secrets.get(field.name) ?? '';
        for (const [id, stood] of newer) {
          const field = document.getElementById(id);
          const offers = !field?.options || [...field.options].some((option) => option.value === stood);
          if (field && typeof stood === 'boolean') field.checked = stood;
          else if (field && offers) field.value = stood;
        }
        outlook(page);
        const there = at && at !== target && document.getElementById(at);
        if (there) { there.focus(); return; }
        const place = document.getElementById(target);
        const entries = place?.querySelectorAll(':scope > .entry') ?? [];
        const within = name === 'add' && entries.length ? entries[entries.length - 1] : place;
        (within?.querySelector('input:not([type="hidden"]), select, textarea') ?? within)?.focus();
      } catch { fallback(); }
    });
  };

  form.addEventListener('input', (event) => {
    if (event.target.closest('[data-turn]')) return;
    clearTimeout(timer);
    timer = setTimeout(check, 500);
  });
  form.addEventListener('change', (event) => {
    const field = event.target.closest('[data-turn]');
    if (field) turn('turn', '', field.id, () => form.requestSubmit(form.querySelector('button[name="turn"]')));
  });
  form.addEventListener('click', (event) => {
    const button = event.target.closest('button[data-part]');
    if (!button) return;
    event.preventDefault();
    const target = button.getAttribute('formaction')?.split('#')[1] ?? '';
    turn(button.name, button.value, target, () => { button.removeAttribute('data-part'); form.requestSubmit(button); });
  });
}
