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
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  });
}
copying();

// What changes while somebody looks: the hub says that it did, and the page itself is fetched and the part taken over. What is open stays
// open, and who stands in a field stays there.
const live = document.querySelector('[data-live-from]');
if (live && window.EventSource) {
  let seen = live.dataset.liveSeen;
  const renew = async () => {
    const answer = await fetch(live.dataset.livePage, { headers: { accept: 'text/html' }, credentials: 'same-origin' });
    if (answer.redirected || !answer.ok) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    for (const part of document.querySelectorAll('[data-live]')) {
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
  };
  const source = new EventSource(`${live.dataset.liveFrom}?seen=${encodeURIComponent(seen)}`);
  source.addEventListener('change', (event) => {
    if (event.data !== seen) { seen = event.data; renew().catch(() => {}); }
  });
  addEventListener('pagehide', () => source.close());
}

// What is wrong with a form is where a reader begins.
document.getElementById('errors')?.focus();
