import { stringify } from 'csv-stringify/sync';
import type { ExportFormat } from '../operation/export.store.js';
import type { View } from '../operation/view.js';

/** RFC 4180, 2: lines end with CR LF, and a cell with either of the two is quoted. */
const CSV = { record_delimiter: '\r\n', quoted_match: /[\r\n]/, escape_formulas: true };

/**
 * The text of rows in one format. CSV is RFC 4180 in UTF-8 with the field names as its first line; a cell that a
 * spreadsheet would take for a formula (it begins with = + - @, one of their full-width forms, a tab or a carriage return)
 * is preceded by an apostrophe, so `+86…` is delivered as `'+86…`. NDJSON is one JSON object a line, values as they are.
 * What is hidden is empty or null.
 */
export interface ExportText {
  /** What stands before the first row. */
  readonly head: string;
  rows(views: readonly View[]): string;
}

export function exportText(format: ExportFormat, columns: readonly string[]): ExportText {
  if (format === 'CSV') {
    return {
      head: stringify([columns as string[]], CSV),
      rows: (views) =>
        stringify(
          views.map((view) => columns.map((column) => view[column] ?? null)),
          CSV,
        ),
    };
  }
  return {
    head: '',
    rows: (views) =>
      views
        .map(
          (view) => `${JSON.stringify(Object.fromEntries(columns.map((column) => [column, view[column] ?? null])))}\n`,
        )
        .join(''),
  };
}
