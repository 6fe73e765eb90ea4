import type { Type } from '@nestjs/common';
import { ArgsType, Field, Int, ObjectType } from '@nestjs/graphql';

@ObjectType('PageInfo', {
  description: 'Relay page info. Cursors are sealed: they belong to one caller, purpose, policy and list.',
})
export class PageInfoType {
  @Field(() => Boolean)
  hasNextPage: boolean;

  @Field(() => Boolean)
  hasPreviousPage: boolean;

  @Field(() => String, { nullable: true })
  startCursor: string | null;

  @Field(() => String, { nullable: true })
  endCursor: string | null;
}

/** The Relay connection type of a noun: `<Name>Connection` with `<Name>Edge`. */
export function connectionType<Node>(node: Type<Node>): Type<object> {
  @ObjectType(`${node.name}Edge`)
  class EdgeType {
    @Field(() => node)
    node: Node;

    @Field(() => String)
    cursor: string;
  }

  @ObjectType(`${node.name}Connection`)
  class ConnectionType {
    @Field(() => [EdgeType])
    edges: EdgeType[];

    @Field(() => PageInfoType)
    pageInfo: PageInfoType;

    @Field(() => Int, { nullable: true, description: 'Counted up to 1000; null in nested lists.' })
    totalCount: number | null;
  }
  return ConnectionType;
}

@ArgsType()
export class PageArgumentsType {
  @Field(() => Int, { nullable: true, defaultValue: 20, description: 'At most 50.' })
  first: number | null;

  @Field(() => String, { nullable: true })
  after: string | null;
}
