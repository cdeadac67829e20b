// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"

/* The protocol's table of errors, kept apart from errors.tbl; true: clients compare this very text. */
static const struct {
    int num;
    const char *text;
    bool compared;
} official[] = {
    {500, "unknown command", false},
    {500, "not authenticated", false},
    {501, "required attribute is missing", false},
    {501, "id attribute is missing", false},
    {501, "illegal XML", false},
    {501, "already authenticated", false},
    {501, "no authentication in progress", false},
    {501, "authentication has been cancelled", false},
    {501, "TLS is already active", false},
    {501, "TLS is not available", false},
    {501, "Account with this name already exists", false},
    {501, "auto-signup is disabled", false},
    {501, "password recovery is disabled", false},
    {501, "new password is not acceptable", false},
    {501, "password cannot be changed", false},
    {502, "illegal attribute value", false},
    {504, "unsupported authentication method", false},
    {504, "secure authentication is required", false},
    {505, "permission denied", false},
    {515, "incorrect password or account name", true},
    {516, "password has expired", false},
    {517, "account is temporarily blocked", false},
    {518, "service is disabled", false},
    {520, "too many sessions", false},
    {530, "server is shutting down", false},
    {531, "illegal vCard data format", true},
    {532, "illegal iCalendar data format", false},
    {533, "calendar has already been opened", false},
    {534, "calendar has not been opened", false},
    {535, "calendar item is not found", false},
    {536, "calendar item has been modified", false},
    {537, "too many items", false},
    {540, "file is not found", true},
    {541, "file already exists", false},
    {542, "directory is not found", false},
    {544, "directory is not empty", false},
    {545, "file storage quota exceeded", false},
    {546, "illegal file name", false},
    {547, "dataset is not found", false},
    {548, "unknown user account", false},
    {549, "roster item is not found", false},
    {551, "signal binding is required", false},
    {552, "call leg is not found", false},
    {553, "call leg already exists", false},
    {554, "operation is illegal in this call state", false},
    {555, "meeting not found", true},
    {556, "meeting is already activated", true},
    {557, "async Object not found", true},
    {560, "mailbox access denied", true},
    {561, "mailbox not found", false},
    {562, "mailbox already exists", false},
    {563, "illegal mailbox name", false},
    {564, "mailbox has sub-mailboxes", false},
    {565, "operation is not allowed for INBOX", false},
    {566, "mailbox is not selectable", false},
    {567, "mailbox has been removed", false},
    {568, "folder has already been opened", true},
    {569, "folder has not been opened", true},
    {570, "message not found", false},
    {571, "message part not found", false},
    {572, "unknown message flag", false},
    {573, "storage quota exceeded", false},
    {574, "message is too large", false},
    {575, "message has no recipients", false},
    {576, "sender address is not allowed", false},
    {577, "illegal message data", false},
    {578, "uploaded data not found", false},
    {579, "message submission failed", false},
    {580, "rule not found", false},
    {581, "rule already exists", false},
    {582, "illegal rule data", false},
    {583, "operation timed out", false},
    {584, "operation is not supported", false},
    {585, "too many open folders", false},
    {586, "private key is locked", false},
    {587, "certificate not found", false},
    {599, "internal error", false},
};

static bool is_official(int num, const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(official); i++) {
        if (official[i].num == num && strcmp(official[i].text, text) == 0)
            return true;
    }
    return false;
}

static void every_official_error_is_there_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(official); i++) {
        int found = 0;
        for (int e = 0; e <= ERR_INTERNAL; e++)
            found += err_num((enum err)e) == official[i].num &&
                     strcmp(err_text((enum err)e), official[i].text) == 0;
        if (found != 1)
            fail_msg("%d '%s' is there %d times", official[i].num, official[i].text, found);
    }
}

static void nothing_else_is_there(void **state)
{
    (void)state;
    for (int e = 0; e < ERR_COUNT; e++) {
        if (e <= ERR_WAIT) {
            assert_int_equal(err_num((enum err)e), 0);
            assert_string_equal(err_text((enum err)e), "");
        } else {
            assert_true(is_official(err_num((enum err)e), err_text((enum err)e)));
        }
        if (e > ERR_INTERNAL)
            assert_int_equal(err_num((enum err)e), 599);
    }
}

/* errors.md: lower-case beginning but for "Account ..." and "TLS ...", no full stop. */
static void texts_can_be_looked_up(void **state)
{
    (void)state;
    for (int e = ERR_WAIT + 1; e < ERR_COUNT; e++) {
        const char *t = err_text((enum err)e);
        assert_true((t[0] >= 'a' && t[0] <= 'z') || strncmp(t, "Account ", 8) == 0 ||
                    strncmp(t, "TLS ", 4) == 0);
        assert_null(strchr(t, '.'));
    }
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(err_name(ERR_OK), "OK");
    assert_string_equal(err_name(ERR_AUTH_FAILED), "AUTH_FAILED");
    assert_string_equal(err_name(ERR_NET), "NET");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_official_error_is_there_once),
        cmocka_unit_test(nothing_else_is_there),
        cmocka_unit_test(texts_can_be_looked_up),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
