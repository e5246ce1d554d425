import { signal } from '@preact/signals';
import { api, type Schemas, take } from './api/client';
import { person, whenAnother } from './session';

/** The project's environments; null while they are not known. Nothing waits for them. */
export const environments = signal<Schemas['Environment'][] | null>(null);

whenAnother(() => {
  environments.value = null;
});

export async function loadEnvironments() {
  const asked = person.peek();
  try {
    const { data } = await take(api.GET('/api/environments'));
    if (person.peek() === asked) environments.value = data.environments;
  } catch {
    // What would be offered of them is typed instead.
  }
}
