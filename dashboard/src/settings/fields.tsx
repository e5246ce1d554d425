import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';

/** The text of a field in a form that was sent. */
export const textOf = (form: HTMLFormElement, name: string) => String(new FormData(form).get(name) ?? '').trim();

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
