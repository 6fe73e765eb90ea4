import { getDirectiveValues, GraphQLIncludeDirective, GraphQLSkipDirective, Kind } from 'graphql';
import type { FieldNode, GraphQLResolveInfo, SelectionSetNode } from 'graphql';
import { registry } from '../kernel/attribute.js';
import type { Selection } from '../operation/selection.js';

/** Selections of fields without @include and @skip, by syntax node: documents are parsed once and come again. */
const known = new WeakMap<FieldNode, Selection>();

/** What the document selects of the noun that this field answers. */
export function selectionOf(info: GraphQLResolveInfo, type: string): Selection {
  return remembered(info, type, []);
}

/** What the document selects of the nodes of the connection that this field answers. */
export function connectionSelectionOf(info: GraphQLResolveInfo, type: string): Selection {
  return remembered(info, type, ['edges', 'node']);
}

function remembered(info: GraphQLResolveInfo, type: string, path: readonly string[]): Selection {
  const [node] = info.fieldNodes;
  const single = info.fieldNodes.length === 1 ? node : undefined;
  const before = single === undefined ? undefined : known.get(single);
  if (before !== undefined) return before;
  const walk = new Walk(info);
  let fields = [...info.fieldNodes];
  const totalCount = path.length > 0 && walk.names(fields).has('totalCount');
  for (const step of path) fields = walk.inside(fields).filter((field) => field.name.value === step);
  const names = walk.names(fields);
  const { attributes } = registry.noun(type);
  const selected = [...names].flatMap((name) =>
    attributes.has(name) ? [name] : attributes.has(`${name}Id`) ? [`${name}Id`] : [],
  );
  const selection = { fields: new Set(selected.sort()), fieldAccess: names.has('fieldAccess'), totalCount };
  if (single !== undefined && !walk.conditional) known.set(single, selection);
  return selection;
}

/** Follows fields and fragments as the executor does. */
class Walk {
  conditional = false;

  constructor(private readonly info: GraphQLResolveInfo) {}

  names(fields: readonly FieldNode[]): Set<string> {
    return new Set(this.inside(fields).map((field) => field.name.value));
  }

  inside(fields: readonly FieldNode[]): FieldNode[] {
    return fields.flatMap((field) => (field.selectionSet === undefined ? [] : this.collect(field.selectionSet)));
  }

  private collect(set: SelectionSetNode): FieldNode[] {
    return set.selections.flatMap((selection) => {
      if (!this.included(selection)) return [];
      if (selection.kind === Kind.FIELD) return [selection];
      if (selection.kind === Kind.INLINE_FRAGMENT) return this.collect(selection.selectionSet);
      const fragment = this.info.fragments[selection.name.value];
      return fragment === undefined ? [] : this.collect(fragment.selectionSet);
    });
  }

  private included(selection: SelectionSetNode['selections'][number]): boolean {
    if (selection.directives === undefined || selection.directives.length === 0) return true;
    this.conditional = true;
    const { variableValues } = this.info;
    if (getDirectiveValues(GraphQLSkipDirective, selection, variableValues)?.['if'] === true) return false;
    return getDirectiveValues(GraphQLIncludeDirective, selection, variableValues)?.['if'] !== false;
  }
}
