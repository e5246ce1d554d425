import { computed, effect, signal } from '@preact/signals';
import { session } from '../session';

/** Kept apart for each user: others use this browser, too. */
const nameFor = (user: string) => `estop.actor ${user}`;

const user = computed(() => session.value?.session.user ?? '');
const told = signal<string | null>(null);
effect(() => {
  try {
    told.value = localStorage.getItem(nameFor(user.value));
  } catch {
    told.value = null;
  }
});

/** Whose runs are "mine": the CI's name for this person, where that is another than the key's user. */
export const me = computed(() => told.value ?? user.value);

export function callMe(name: string) {
  const given = name === user.peek() ? '' : name;
  told.value = given || null;
  try {
    if (given) localStorage.setItem(nameFor(user.peek()), given);
    else localStorage.removeItem(nameFor(user.peek()));
  } catch {
    // It holds until the page is closed.
  }
}
