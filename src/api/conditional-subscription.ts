import {
  Kind,
  OperationTypeNode,
  type DocumentNode,
  type FragmentDefinitionNode,
  type SelectionSetNode,
} from 'graphql';

/** Directives whose `if` graphql-js evaluates while it looks for the root field. */
const CONDITIONS = new Set(['skip', 'include']);

/**
 * True where the root selection of a subscription has a condition, which the specification forbids (September 2025,
 * 5.2.4.1). graphql-js 16 has no such rule: it throws in the middle of validating, or of subscribing to no field at all.
 */
export function isConditional(document: DocumentNode): boolean {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const one of document.definitions) if (one.kind === Kind.FRAGMENT_DEFINITION) fragments.set(one.name.value, one);
  return document.definitions.some(
    (one) =>
      one.kind === Kind.OPERATION_DEFINITION &&
      one.operation === OperationTypeNode.SUBSCRIPTION &&
      hasCondition(one.selectionSet, fragments),
  );
}

/** Each fragment is looked at once: what is taken out of `unseen` is not looked at again. */
function hasCondition(set: SelectionSetNode, unseen: Map<string, FragmentDefinitionNode>): boolean {
  return set.selections.some((selection) => {
    if (selection.directives?.some(({ name }) => CONDITIONS.has(name.value))) return true;
    if (selection.kind === Kind.FIELD) return false;
    if (selection.kind === Kind.INLINE_FRAGMENT) return hasCondition(selection.selectionSet, unseen);
    const fragment = unseen.get(selection.name.value);
    unseen.delete(selection.name.value);
    return fragment !== undefined && hasCondition(fragment.selectionSet, unseen);
  });
}
