import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';

/** The text of a field in a form that was sent. */
export const textOf = (form: HTMLFormElement, name: string) => String(new FormData(form).get(name) ?? '').trim();

const SCOPES = { read: 'see runs', cancel: 'stop runs', run: 'register and run' } as const;
type Scope = keyof typeof SCOPES;

/** What somebody may: a box each. */
export const Scopes = ({ who }: { who: string }) => (
  <fieldset>
    <legend>{who} may</legend>
    {Object.entries(SCOPES).map(([scope, words]) => (
      <label key={scope} class="check">
        <input type="checkbox" name="scopes" value={scope} defaultChecked={scope !== 'run'} /> {words}
      </label>
    ))}
  </fieldset>
);

/** The boxes that are ticked in a form that was sent. */
export const scopesOf = (form: HTMLFormElement) => new FormData(form).getAll('scopes') as Scope[];

/** The day that was chosen in a form, if one was. */
export const untilOf = (form: HTMLFormElement) => {
  const day = textOf(form, 'expires_at');
  // To the end of that day, where the admin is.
  return day ? { expires_at: new Date(`${day}T23:59:59.999`).toISOString() } : {};
};

interface FormProps {
  send: (form: HTMLFormElement) => Promise<boolean>;
  button: string;
  children: ComponentChildren;
}

/** A form that is sent once at a time, and is emptied when that worked. */
export function Form({ send, button, children }: FormProps) {
  const busy = useSignal(false);
  return (
    <form
      class="inline"
      onSubmit={async (event) => {
        event.preventDefault();
        if (busy.peek()) return;
        busy.value = true;
        const form = event.currentTarget;
        if (await send(form)) form.reset();
        busy.value = false;
      }}
    >
      {children}
      <button type="submit" aria-disabled={busy.value}>
        {button}
      </button>
    </form>
  );
}

/** The name of something in URLs and commands. */
export const Slug = ({ label, placeholder }: { label: string; placeholder: string }) => (
  <label>
    <span>{label}</span>
    <input
      name="slug"
      required
      maxLength={64}
      pattern="[a-z0-9]([a-z0-9\-]*[a-z0-9])?"
      title="Lower-case letters, digits and hyphens"
      placeholder={placeholder}
    />
  </label>
);

/** A name that becomes a field when one wants to change it. */
export function Name({ value, what, save }: { value: string; what: string; save: (name: string) => Promise<unknown> }) {
  const editing = useSignal(false);
  if (!editing.value) {
    return (
      <span class="name">
        <b>{value || 'none'}</b>{' '}
        <button
          type="button"
          class="plain sub"
          aria-label={`Rename ${what} ${value}`}
          onClick={() => (editing.value = true)}
        >
          rename
        </button>
      </span>
    );
  }
  return (
    <form
      class="inline"
      onSubmit={async (event) => {
        event.preventDefault();
        await save(textOf(event.currentTarget, 'name'));
        editing.value = false;
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') editing.value = false;
      }}
    >
      <input
        name="name"
        required
        maxLength={255}
        defaultValue={value}
        aria-label={`New name of ${what} ${value}`}
        ref={(field) => field?.focus()}
      />
      <button type="submit">Save</button>
    </form>
  );
}
