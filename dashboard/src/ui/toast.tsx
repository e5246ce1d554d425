import { signal } from '@preact/signals';

const text = signal('');
let timer = 0;

/** Says something in passing, for the eye and for a screen reader. */
export function say(what: string) {
  text.value = what;
  clearTimeout(timer);
  timer = window.setTimeout(() => {
    text.value = '';
  }, 6000);
}

export const Toast = () => (
  <div class="toast" role="status" aria-live="polite" data-shown={text.value !== ''}>
    {text.value}
  </div>
);
