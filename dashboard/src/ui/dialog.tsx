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
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    self.current?.showModal();
    return () => {
      if (before?.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the browser closes it on Esc
    <dialog
      ref={self}
      aria-labelledby="dialog-title"
      onClose={close}
      onClick={(event) => {
        // Only the backdrop is the dialog itself: its inside is padded by a child.
        if (event.target === self.current) close();
      }}
    >
      <div class="inside">
        <h2 id="dialog-title">{title}</h2>
        {children}
      </div>
    </dialog>
  );
}
