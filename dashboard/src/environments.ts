import { signal } from '@preact/signals';
import { api, type Schemas, take } from './api/client';

/** The project's environments; null while they are not known. Nothing waits for them. */
export const environments = signal<Schemas['Environment'][] | null>(null);

export async function loadEnvironments() {
  try {
    environments.value = (await take(api.GET('/api/environments'))).data.environments;
  } catch {
    // What would be offered of them is typed instead.
  }
}
