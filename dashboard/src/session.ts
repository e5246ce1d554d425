import { computed, effect, signal, untracked } from '@preact/signals';
import { api, Failure, type Schemas, sentence, take, whenSignedOut } from './api/client';

export type Session = Schemas['SessionState'];

/** Undefined while it is not known yet, null when nobody is signed in. */
export const session = signal<Session | null | undefined>(undefined);
/** Why one has to sign in again, when that is not obvious. */
export const farewell = signal<string | null>(null);

/** Whether people can sign in with the company's account, as far as it is known. */
export const companyAccounts = signal(false);

/** Who is signed in, and where; null if nobody is. The session itself is read anew now and then, and this stays the same. */
export const person = computed(() => session.value && `${session.value.project.id} ${session.value.session.user}`);

/** Calls this when somebody else is signed in, or nobody: what was there for the one before is not for them. */
export function whenAnother(forget: () => void) {
  let before = person.peek();
  effect(() => {
    const now = person.value;
    if (before && now !== before) untracked(forget);
    before = now;
  });
}

export const may = {
  read: computed(() => session.value?.session.scopes.includes('read') ?? false),
  cancel: computed(() => session.value?.session.scopes.includes('cancel') ?? false),
};

/** How long tests that are stopped get to end by themselves. */
export const graceMs = computed(() => (session.value?.stop_grace_seconds ?? 10) * 1000);

whenSignedOut(() => over('Your session is over: it has expired, or its key was revoked. Sign in again.'));

/** The session has ended without the person's doing. */
export function over(why: string) {
  if (session.value) farewell.value = why;
  session.value = null;
}

export async function loadSession() {
  const { data, error, response } = await api.GET('/api/session');
  if (data) session.value = data.data;
  else if (response.status === 401)
    over('Your session is over: it has expired, or its key was revoked. Sign in again.');
  else throw new Failure(sentence(error, response.status), response.status);
}

export async function signIn(key: string) {
  await take(api.POST('/api/session', { body: { key } }));
  farewell.value = null;
  await loadSession();
  if (!session.peek()) {
    throw new Failure(
      'The key is right, but this browser did not keep the session: it does so only over https or, in most browsers, on localhost. Open this page at such an address.',
      0,
    );
  }
}

// In another tab, somebody else may have signed in, or out: the cookie is the same for both.
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState === 'visible' && session.peek()) loadSession().catch(() => {});
});

export async function signOut() {
  await take(api.DELETE('/api/session'));
  session.value = null;
}

/** Asks whether people can sign in with the company's account. */
export async function askForCompanyAccounts() {
  const answer = await api.GET('/healthz').catch(() => null);
  // Of several databases, one that is down says nothing of who can sign in.
  const down = answer?.error && 'access' in answer.error ? answer.error.access : undefined;
  companyAccounts.value = answer?.data?.data.access ?? down ?? companyAccounts.value;
}

/** Where somebody signs in with it, to a project or to the first that lets them in. Access stands before this path. */
export const companySignIn = (project?: number) => `/session/access${project ? `?project=${project}` : ''}`;

/** The key of the demo project, which `make dev` puts beside the page; a deployment has no such file. */
export async function localDemoKey(): Promise<string | null> {
  try {
    const answer = await fetch('/local.json');
    if (!answer.ok || !answer.headers.get('content-type')?.includes('json')) return null;
    return ((await answer.json()) as { demo_key?: string }).demo_key ?? null;
  } catch {
    return null;
  }
}
