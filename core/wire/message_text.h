/* Texts in messages of protobuf.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "core/base/bytes.h"

/* Is each string in these octets text: UTF-8, as protobuf demands of strings, and without NUL, behind which protobuf-c
 * hides the rest? Looks before anything is unpacked. False for octets that are no fields, too. */
bool message_text_is_good(const ProtobufCMessageDescriptor *schema, struct bytes octets);
