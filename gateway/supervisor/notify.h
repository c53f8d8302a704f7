/* Telling the service manager how it goes: sd_notify(3) without its library.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* Send a state such as "READY=1"; nothing happens when nobody asked to be told (NOTIFY_SOCKET). */
void service_notify(const char *state);

/* The configuration is being read again; "READY=1" follows. */
void service_notify_reloading(void);
