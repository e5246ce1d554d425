import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/** Whether a page was shown before: the first one leaves the focus where the browser has it. */
let moved = false;

interface Props {
  /** What the tab, the history and a screen reader call the page. */
  title: string;
  class?: string;
  children: ComponentChildren;
}

/** The heading of a page. It gets the focus when one comes here from another page, so that a screen reader says where one is. */
export function Heading({ title, class: of, children }: Props) {
  const self = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · estop`;
  }, [title]);
  useEffect(() => {
    // Whoever is somewhere in the page already stays there.
    if (moved && !document.activeElement?.closest('main, dialog')) self.current?.focus({ preventScroll: true });
    moved = true;
  }, []);
  return (
    <h1 ref={self} class={of} tabIndex={-1}>
      {children}
    </h1>
  );
}
