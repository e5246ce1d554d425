import type { Schemas } from '../../api/client';
import { environments } from '../admin';
import { textOf } from '../fields';
import type { Webhook } from './data';
import { EVENTS } from './words';

const FORMATS: Record<Schemas['WebhookFormat'], string> = {
  standard: 'the run, as JSON',
  slack: 'a sentence, for Slack',
};

/** What a form with these fields says of a webhook. */
export const wanted = (form: HTMLFormElement) => ({
  url: textOf(form, 'url'),
  events: new FormData(form).getAll('events') as Schemas['WebhookEvent'][],
  environment: textOf(form, 'environment') || null,
  branch: textOf(form, 'branch') || null,
  format: textOf(form, 'format') as Schemas['WebhookFormat'],
});

/** The fields of a webhook that is to be, or of one that is to change. */
export const Fields = ({ of, first }: { of?: Webhook; first?: boolean }) => (
  <>
    <label class="line-of-its-own">
      <span>Address</span>
      <input
        name="url"
        type="url"
        required
        maxLength={2000}
        placeholder="https://example.com/hooks"
        defaultValue={of?.url}
        ref={(field) => {
          if (first) field?.focus();
        }}
      />
    </label>
    <label>
      <span>Environment</span>
      <select name="environment">
        <option value="">Any</option>
        {environments.value.map(({ id, name, slug }) => (
          <option key={id} value={slug} selected={slug === of?.environment}>
            {name}
          </option>
        ))}
      </select>
    </label>
    <label>
      <span>Branches (optional)</span>
      <input name="branch" maxLength={50} placeholder="release/*" defaultValue={of?.branch ?? ''} />
    </label>
    <label>
      <span>What is sent</span>
      <select name="format">
        {Object.entries(FORMATS).map(([format, words]) => (
          <option key={format} value={format} selected={format === (of?.format ?? 'standard')}>
            {words}
          </option>
        ))}
      </select>
    </label>
    <fieldset>
      <legend>It hears when a run</legend>
      {Object.entries(EVENTS).map(([event, words]) => (
        <label key={event} class="check">
          <input
            type="checkbox"
            name="events"
            value={event}
            defaultChecked={of === undefined || of.events.some((one) => one === event)}
          />{' '}
          {words}
        </label>
      ))}
    </fieldset>
  </>
);
