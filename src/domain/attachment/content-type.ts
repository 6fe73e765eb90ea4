import { fileTypeFromBuffer } from 'file-type';

/** What may be attached, by MIME type, with the extension that a download gets. Closed: what is not here is refused. */
export const CONTENT_TYPES: ReadonlyMap<string, string> = new Map([
  ['application/pdf', 'pdf'],
  ['image/png', 'png'],
  ['image/jpeg', 'jpg'],
  ['image/tiff', 'tif'],
  ['text/plain', 'txt'],
  ['application/dicom', 'dcm'],
]);

/** As many first bytes as tell the type; file-type looks at no more of the types that are taken. */
export const HEAD_BYTES = 64 * 1024;

const DICOM_PREAMBLE = 128;
/** What a text begins with that another program would take for something else than a text. */
const NO_PLAIN_TEXT = /^\uFEFF?\s*(%PDF|%!PS|\{\\rtf|#!|<\?xml|<!--)/i;

/**
 * Whether these first bytes of a content are of the declared type. Bytes that begin as two types at once (a program in the
 * preamble of a DICOM file, a text that is a PDF) are of none.
 */
export async function isOfType(declared: string, head: Uint8Array): Promise<boolean> {
  if (declared === 'text/plain') return !NO_PLAIN_TEXT.test(Buffer.from(head).toString('utf8', 0, 1_024));
  // DICOM PS3.10, 7.1: a preamble that no application profile uses is zero.
  if (declared === 'application/dicom' && head.subarray(0, DICOM_PREAMBLE).some((byte) => byte !== 0)) return false;
  const magic = Buffer.from(head).toString('latin1', 0, 5);
  if (declared === 'application/pdf' && magic !== '%PDF-') return false;
  const sniffed = (await fileTypeFromBuffer(head))?.mime;
  // The directory of a TIFF, which tells camera formats apart, may lie anywhere after these bytes.
  if (declared === 'image/tiff' && sniffed === undefined) return /^(II\*\0|MM\0\*)/.test(magic);
  return sniffed === declared;
}
