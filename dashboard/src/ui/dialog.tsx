import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

interface Props {
  title: string;
  close: () => void;
  children: ComponentChildren;
}

/** A modal dialog: the browser's own, which keeps the focus, closes on Esc and gives the focus back. */
export function Dialog({ title, close, children }: Props) {
  const self = useRef<HTMLDialogElement>(null);
  /** Where the button went down: whoever drags a selection out of a field does not mean to close this. */
  const pressed = useRef<EventTarget | null>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    const row = before?.closest('tr');
    self.current?.showModal();
    const giveBack = () => {
      // What was pressed may be gone, as "Stop" is once a run has stopped.
      const next =
        [before, row].find((one) => one?.isConnected && one !== document.body) ?? document.querySelector('h1');
      next?.focus({ preventScroll: true });
    };
    // Nothing else takes the focus as long as the dialog is in the page.
    return () => queueMicrotask(giveBack);
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the browser closes it on Esc
    <dialog
      ref={self}
      aria-labelledby="dialog-title"
      onClose={close}
      onPointerDown={(event) => {
        pressed.current = event.target;
      }}
      onClick={(event) => {
        // Only the backdrop is the dialog itself: its inside is padded by a child.
        if (event.target === self.current && pressed.current === self.current) close();
      }}
    >
      <div class="inside">
        <h2 id="dialog-title">{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

export const Close = ({ close }: { close: () => void }) => (
  <p class="buttons">
    <button type="button" autofocus onClick={close}>
      Close
    </button>
  </p>
);
