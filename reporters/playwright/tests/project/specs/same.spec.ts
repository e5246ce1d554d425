import { expect, test } from '@playwright/test';

test('opens', () => {});

test('scrolls', ({}, { project }) => {
  expect(project.name).toBe('desktop');
});
