import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { rowsOfCsv } from '../../test/support/export.js';
import type { View } from '../operation/view.js';
import { exportText } from './export-format.js';

const COLUMNS = ['id', 'name', 'birthYear'];
/** Full-width forms too: spreadsheets of East Asia take them for the same. */
const FORMULA = /^[=+\-@\t\r＝＋－＠]/;
/** Texts with everything that a CSV cell or a spreadsheet trips over. */
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'=+-@＝＋－＠\t\r\n",\' a王') }),
  fc.string({ unit: 'grapheme' }),
  fc.constant(null),
);
const view = fc.record({ id: fc.uuid(), name: text, birthYear: fc.option(fc.integer({ min: 1900, max: 2030 })) });
const viewOf = (row: object) => ({ __typename: 'Patient', ...row }) as unknown as View;

test('CSV: RFC 4180 gives back every value, and no cell begins like a formula', () => {
  fc.assert(
    fc.property(fc.array(view, { maxLength: 8 }), (rows) => {
      const csv = exportText('CSV', COLUMNS);
      const [head, ...cells] = rowsOfCsv(csv.head + csv.rows(rows.map(viewOf)));
      expect(head).toEqual(COLUMNS);
      for (const cell of cells.flat()) expect(cell).not.toMatch(FORMULA);
      const safe = (value: string | number | null) =>
        typeof value === 'string' && FORMULA.test(value) ? `'${value}` : String(value ?? '');
      expect(cells).toEqual(rows.map((row) => [row.id, safe(row.name), safe(row.birthYear)]));
    }),
  );
});

test('NDJSON: one object a line, every value as it is', () => {
  fc.assert(
    fc.property(fc.array(view, { maxLength: 8 }), (rows) => {
      const lines = exportText('NDJSON', COLUMNS).rows(rows.map(viewOf));
      expect(
        lines
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as unknown),
      ).toEqual(rows);
    }),
  );
});

test('what is not shown is empty, in the columns that were promised', () => {
  const nothing = [viewOf({ id: 'x' })];
  expect(exportText('CSV', COLUMNS).rows(nothing)).toBe('x,,\r\n');
  expect(exportText('NDJSON', COLUMNS).rows(nothing)).toBe('{"id":"x","name":null,"birthYear":null}\n');
});
