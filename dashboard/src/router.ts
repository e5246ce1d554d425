import { computed, signal } from '@preact/signals';

/** Where the page is. The address is the only place that says so: a view can be shared by copying it. */
const address = signal(new URL(location.href));

export const path = computed(() => address.value.pathname);
export const search = computed(() => address.value.search);

/** Goes to a path of the page. `replace` leaves no step in the history: for what one would not go back to. */
export function go(to: string, { replace = false } = {}) {
  const next = new URL(to, location.href);
  if (next.href === location.href) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', next);
  const moved = next.pathname !== address.value.pathname;
  address.value = next;
  if (moved) scrollTo(0, 0);
}

addEventListener('popstate', () => {
  address.value = new URL(location.href);
});

/** Links are plain; a plain click on one of the page's own paths stays in the page. */
document.addEventListener('click', (event) => {
  const link = (event.target as Element).closest?.('a[href]') as HTMLAnchorElement | null;
  const plain = event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  if (!link || !plain || event.defaultPrevented || link.target || link.origin !== location.origin) return;
  if (link.pathname.startsWith('/api/') || link.pathname === '/openapi.json') return;
  event.preventDefault();
  go(link.href);
});
