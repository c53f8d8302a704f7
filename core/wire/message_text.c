/* Texts in messages of protobuf: what protobuf-c leaves unchecked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/wire/message_text.h"

#include "core/base/utf8.h"
#include "core/wire/frame.h"

static bool field_is_good(const ProtobufCMessageDescriptor *schema, const struct frame_field *f)
{
	const ProtobufCFieldDescriptor *known =
		f->is_octets && f->field <= UINT32_MAX ?
			protobuf_c_message_descriptor_get_field(schema, (unsigned)f->field) : NULL;

	if (known && known->type == PROTOBUF_C_TYPE_STRING)
		return utf8_is_text(f->octets);
	/* A schema says how deep its messages nest. */
	if (known && known->type == PROTOBUF_C_TYPE_MESSAGE)
		return message_text_is_good(known->descriptor, f->octets);
	return true;
}

bool message_text_is_good(const ProtobufCMessageDescriptor *schema, struct bytes octets)
{
	struct frame_field f;

	while (octets.len)
		if (frame_field_take(&octets, &f) || !field_is_good(schema, &f))
			return false;
	return true;
}
