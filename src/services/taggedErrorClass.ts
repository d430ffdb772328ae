/**
 * The type of an error class, for the base classes of exported errors: TypeScript's `isolatedDeclarations` and JSR want
 * the type of an exported class written out.
 *
 * @since 0.1.0
 */
import type { Cause, Schema } from "effect"

/** What `Schema.TaggedError` makes: `Fields` are the schemas of the fields. @category models @since 0.1.0 */
export type TaggedErrorClass<Self, Tag extends string, Fields extends Schema.Struct.Fields> = Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, Fields>,
  Cause.YieldableError
>
