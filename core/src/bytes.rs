//! Records of images: what is read in place from bytes, and written as bytes.

/// Defines a struct of fixed layout whose bytes are its fields' and nothing else, and says so to `bytemuck`. Its derive
/// would do the same, and make every device compile a parser of Rust.
macro_rules! record {
    (
        $(#[$about:meta])*
        pub struct $name:ident {
            $($(#[$field_about:meta])* pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$about])*
        #[repr(C)]
        pub struct $name {
            $($(#[$field_about])* pub $field: $type,)*
        }

        const _: () = {
            const fn is_pod<T: bytemuck::Pod>() {}
            $(is_pod::<$type>();)*
            assert!(size_of::<$name>() == 0 $(+ size_of::<$type>())*, "padding");
        };

        #[allow(
            unsafe_code,
            reason = "the fields are all that there is, and each of them is plain: both are checked above"
        )]
        const _: () = {
            // SAFETY: each field is `Pod`, so zeros are one of its values.
            unsafe impl bytemuck::Zeroable for $name {}
            // SAFETY: the layout is C's, each field is `Pod`, and the sizes add up, so that there is no padding.
            unsafe impl bytemuck::Pod for $name {}
        };
    };
}

pub(crate) use record;
