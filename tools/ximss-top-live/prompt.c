// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top-live/prompt.h"

#include "base/utf8.h"
#include "shm/shm_names.h"
#include "tools/ximss-top-live/screen.h"

#define CTRL_U   ('U' - 64)
#define TEXT_MIN 8 /* columns that the answer has, however long the question */

void prompt_ask_text(struct prompt *p, const char *tail, size_t max)
{
    p->tail = tail;
    p->yes_no = false;
    p->max = max < PROMPT_TEXT_MAX ? max : PROMPT_TEXT_MAX;
    p->n = 0;
    p->text[0] = 0;
}

void prompt_ask_yes_no(struct prompt *p)
{
    prompt_ask_text(p, "? y/n ", 0);
    p->yes_no = true;
}

static enum prompt_end end(struct prompt *p, enum prompt_end how)
{
    p->head[0] = 0;
    return how;
}

/* A stray key neither does it nor gives it up. */
static enum prompt_end yes_or_no(struct prompt *p, int32_t code)
{
    if (code == 'y' || code == 'Y')
        return end(p, PROMPT_DONE);
    if (code == 'n' || code == 'N' || code == SCREEN_ESCAPE)
        return end(p, PROMPT_CANCELLED);
    return PROMPT_GOES_ON;
}

static void cut_last(struct prompt *p)
{
    while (p->n != 0 && ((unsigned char)p->text[--p->n] & 0xc0) == 0x80)
        continue;
    p->text[p->n] = 0;
}

/* What may not be shown cannot be typed either. */
static void append(struct prompt *p, int32_t code)
{
    char c[4], shown[SHM_TEXT_MAX(sizeof c)];
    size_t k = utf8_put(c, (uint32_t)code);
    bool same = shm_field_text(c, k, shown) == k && memcmp(c, shown, k) == 0;
    if (!same || p->n + k > p->max)
        return;
    memcpy(p->text + p->n, c, k);
    p->n += k;
    p->text[p->n] = 0;
}

enum prompt_end prompt_key(struct prompt *p, int32_t code)
{
    if (p->yes_no)
        return yes_or_no(p, code);
    if (code == SCREEN_ENTER)
        return end(p, PROMPT_DONE);
    if (code == SCREEN_ESCAPE)
        return end(p, PROMPT_CANCELLED);
    if (code == SCREEN_BACKSPACE)
        cut_last(p);
    else if (code == CTRL_U)
        p->text[p->n = 0] = 0;
    else if (code < SCREEN_SPECIAL)
        append(p, code);
    return PROMPT_GOES_ON;
}

/* The last part of the text that fits. */
static const char *last_part(const char *text, int room)
{
    while (*text != 0 && screen_width(text) > room) {
        text++;
        while (((unsigned char)*text & 0xc0) == 0x80)
            text++;
    }
    return text;
}

int prompt_draw(const struct prompt *p, int y)
{
    int room = screen_columns() - 1; /* the cursor */
    int most = room - screen_width(p->tail) - (p->yes_no ? 0 : TEXT_MIN);
    int x = screen_put(y, 0, most, p->head, LOOK_TITLE);
    x += screen_put(y, x, room - x, p->tail, LOOK_TITLE);
    return x + screen_put(y, x, room - x, last_part(p->text, room - x), LOOK_PLAIN);
}
