import { computed, signal } from '@preact/signals';
import { session } from '../session';

const NAME = 'estop.actor';

const read = () => {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
};
const told = signal(read());

/** Whose runs are "mine": the CI's name for this person, where that is another than the key's user. */
export const me = computed(() => told.value ?? session.value?.session.user ?? '');

export function callMe(name: string) {
  told.value = name || null;
  try {
    if (name) localStorage.setItem(NAME, name);
    else localStorage.removeItem(NAME);
  } catch {
    // It holds until the page is closed.
  }
}
