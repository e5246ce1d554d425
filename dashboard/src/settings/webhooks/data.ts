import { signal } from '@preact/signals';
import { api, Failure, type Schemas, said, take } from '../../api/client';
import { as, current, repeatable, token } from '../admin';

export type Webhook = Schemas['Webhook'];
export type Delivery = Schemas['Delivery'];

/** Those of the project that is shown; null while they are on their way. */
export const webhooks = signal<Webhook[] | null>(null);
/** Why they could not be read. */
export const problem = signal<string | null>(null);
/** Whether the service has no secret to make theirs of, and so no webhooks. */
export const missing = signal(false);
/** Secrets that were shown to nobody yet, and cannot be had again. */
export const secrets = signal<{ of: Webhook; secret: string }[]>([]);
/** The last deliveries of the webhook whose deliveries are shown. */
export const deliveries = signal<{ of: number; list: Delivery[] } | null>(null);
/** The webhook whose deliveries are shown. */
export const open = signal<number | null>(null);

/** What is of one project alone. A secret stays until somebody has it. */
function forgetProject() {
  webhooks.value = null;
  problem.value = null;
  missing.value = false;
  closeDeliveries();
}

function forget() {
  forgetProject();
  secrets.value = [];
}

// A project is never shown as another.
current.subscribe(forgetProject);
// Whoever locks Settings, or signs out, leaves nothing behind.
token.subscribe((admin) => {
  if (admin === null) forget();
});

/** The header of requests, and whether what comes back may still be shown: nobody has locked Settings meanwhile. */
function admitted() {
  const admin = token.peek();
  return { headers: as(admin), here: () => admin !== null && token.peek() === admin };
}

export async function loadWebhooks(project: number) {
  const { headers, here } = admitted();
  const shown = () => here() && current.peek() === project;
  problem.value = null;
  try {
    const params = { path: { id: project } };
    const { data } = await take(api.GET('/api/projects/{id}/webhooks', { params, headers }));
    if (!shown()) return;
    webhooks.value = data.webhooks;
    missing.value = false;
  } catch (error) {
    if (!shown()) return;
    // The project is there, so it is the route that is not.
    if (error instanceof Failure && error.status === 404) missing.value = true;
    else problem.value = said(error);
  }
}

const put = (webhook: Webhook) => {
  webhooks.value = webhooks.peek()?.map((one) => (one.id === webhook.id ? webhook : one)) ?? null;
};

export const createWebhook = async (project: number, body: Schemas['CreateWebhookRequest']) => {
  const { headers, here } = admitted();
  const params = { path: { id: project }, ...repeatable() };
  const { data } = await take(api.POST('/api/projects/{id}/webhooks', { params, headers, body }));
  if (!here()) return;
  secrets.value = [{ of: data.webhook, secret: data.secret }, ...secrets.peek()];
  if (current.peek() === project) webhooks.value = [data.webhook, ...(webhooks.peek() ?? [])];
};

export const changeWebhook = async (id: number, body: Schemas['ChangeWebhookRequest']) => {
  const { headers, here } = admitted();
  const { data } = await take(api.PATCH('/api/webhooks/{id}', { params: { path: { id } }, headers, body }));
  if (here()) put(data.webhook);
};

export const rotate = async (id: number) => {
  const { headers, here } = admitted();
  const params = { path: { id }, ...repeatable() };
  const { data } = await take(api.POST('/api/webhooks/{id}/rotate', { params, headers }));
  if (!here()) return;
  put(data.webhook);
  // The one before the one before is valid no more.
  secrets.value = [{ of: data.webhook, secret: data.secret }, ...secrets.peek().filter(({ of }) => of.id !== id)];
};

export const deleteWebhook = async (id: number) => {
  const { headers, here } = admitted();
  await take(api.DELETE('/api/webhooks/{id}', { params: { path: { id } }, headers }));
  if (!here()) return;
  webhooks.value = webhooks.peek()?.filter((one) => one.id !== id) ?? null;
  secrets.value = secrets.peek().filter(({ of }) => of.id !== id);
  if (open.peek() === id) closeDeliveries();
};

/** Reads the deliveries of a webhook. */
async function read(id: number): Promise<Delivery[]> {
  const { headers, here } = admitted();
  const { data } = await take(api.GET('/api/webhooks/{id}/deliveries', { params: { path: { id } }, headers }));
  if (here() && open.peek() === id) deliveries.value = { of: id, list: data.deliveries };
  return data.deliveries;
}

/** Shows the deliveries of a webhook, or as they are by now. */
export async function loadDeliveries(id: number) {
  if (open.peek() !== id) deliveries.value = null;
  open.value = id;
  await read(id);
}

export function closeDeliveries() {
  open.value = null;
  deliveries.value = null;
}

/** How long what was sent is looked after: a receiver has ten seconds, and others may come first. */
const PATIENCE_MS = 30_000;
const PAUSE_MS = 700;

/** Waits until a delivery has been tried, and gives it. Nothing if that takes too long, or nobody waits any more. */
async function onceTried({ id, webhook_id }: Delivery): Promise<Delivery | undefined> {
  const { here } = admitted();
  const until = Date.now() + PATIENCE_MS;
  while (here() && Date.now() < until) {
    const delivery = (await read(webhook_id)).find((one) => one.id === id);
    if (delivery && (delivery.attempted_at || !delivery.next_attempt_at)) {
      // With the first failure it fails, and with the first success it works again.
      const project = current.peek();
      if (here() && project !== null) await loadWebhooks(project);
      return delivery;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return undefined;
}

export const test = async (id: number) => {
  const { headers } = admitted();
  const params = { path: { id }, ...repeatable() };
  return onceTried((await take(api.POST('/api/webhooks/{id}/test', { params, headers }))).data.delivery);
};

export const redeliver = async (id: number) => {
  const { headers } = admitted();
  const params = { path: { id }, ...repeatable() };
  return onceTried((await take(api.POST('/api/deliveries/{id}/redeliver', { params, headers }))).data.delivery);
};
