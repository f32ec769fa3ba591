//! What values of policies are in JSON, for the schema in `docs/schema`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::consul::UserRange;
use super::kuma::{UserExclusion, VirtualNetwork};
use super::{Selection, Setting};
use crate::net::{Interface, Mark, Name, PortRange};

impl<T: JsonSchema> JsonSchema for Setting<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

impl<T: JsonSchema> JsonSchema for Selection<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Selection_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [{ "const": "*" }, { "type": "array", "items": items }] })
    }
}

/// Gives types their schemas: what each is called, and what it is.
macro_rules! schemas {
    ($($type:ident is $schema:tt)*) => {
        $(impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        })*
    };
}

schemas! {
    Name is { "type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,62}$" }
    Interface is {
        "description": "A network interface, or with `*` at its end the beginning of several.",
        "type": "string",
        "pattern": "^[A-Za-z0-9._-]{1,15}\\*?$"
    }
    Mark is {
        "description": "A mark, perhaps under a mask.",
        "type": "string",
        "pattern": "^(0x[0-9a-fA-F]{1,8}|[0-9]{1,10})(/(0x[0-9a-fA-F]{1,8}|[0-9]{1,10}))?$",
        "examples": ["0x539/0xfff"]
    }
    PortRange is {
        "description": "A port, or a range of them.",
        "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": 65535 },
            { "type": "string", "pattern": "^[0-9]{1,5}(-[0-9]{1,5})?$" }
        ],
        "examples": [443, "8000-8999"]
    }
    UserRange is {
        "description": "A user, or a range of them.",
        "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": 4_294_967_294_u32 },
            { "type": "string", "pattern": "^[0-9]{1,10}(-[0-9]{1,10})?$" }
        ],
        "examples": [5996, "1000-2000"]
    }
    UserExclusion is {
        "description": "Users, perhaps with a protocol and ports, as Kuma writes them.",
        "type": "string",
        "examples": ["1000", "53:1000", "tcp:3000-5000:106-108"]
    }
    VirtualNetwork is {
        "description": "An interface and the network behind it.",
        "type": "string",
        "examples": ["docker0:172.17.0.0/16"]
    }
}
