# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
#
# For people: make run | check | all | lint | san | check-long | fuzz | bench | install | deb | deb-check | conf | clean
#   run      installs what is missing, builds, starts a demonstration server
#   check    installs what is missing, builds, runs every test; last line: N passed, N failed
#   san      the same tests (san-short: some of them), built with the address and undefined-behaviour sanitizers (clang, unless CC says otherwise)
#   check-long  the long forms of tests that have one, and those of shm under the thread sanitizer; half an hour
#   fault    processes killed, calls and memory that fail, full disks, clocks that jump, reloads under load: the long forms
#            of tests/fault, and their figures; an hour
#   fuzz     every fuzz target for FUZZ_SECONDS (clang)
#   install  to PREFIX, with DESTDIR
#   deb      Debian packages, in BUILD/deb; MAINTAINER='Name <address>' is who answers for them
#   deb-check  builds them, and installs, runs, removes and purges them in a fresh system; needs root
#   conf     writes the committed sample file, manual page and completions anew from their tables
# For work on one room, without installing anything: make programs | test-programs | tests | unit-ROOM
# CC=gcc or clang; everything made goes to BUILD.

BUILD   ?= build
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
PREFIX  ?= /usr
DESTDIR ?=
VERSION := 0.1.0
FUZZ_SECONDS ?= 60

WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
        -Wpointer-arith -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough -Werror
HARD := -fPIE -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
OPT  ?= -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
SAN  ?=
PKGS := libxml-2.0 libbsd libuv openssl sqlite3 libgsasl libcrypt gmime-3.0 libunistring libzstd libseccomp
# libunistring has no .pc file
PKG_CFLAGS := $(shell pkg-config --cflags $(filter-out libunistring,$(PKGS)) 2>/dev/null | sed 's/-I\([^ ]*\)/-isystem \1/g')
CPPFLAGS += -Isrc -I. -I$(BUILD) -D_GNU_SOURCE -DXIMSSD_VERSION='"$(VERSION)"' $(PKG_CFLAGS) $(LLHTTP_CFLAGS)
CFLAGS   += -std=c17 -g $(OPT) $(WARN) $(HARD) $(SAN)
LDFLAGS  += -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SAN)
# What only tests run, more than a hundred programs, by the linkers that take least of the time, where they are; gold warns of
# clang's sanitizers.
TEST_LD  := $(if $(findstring clang,$(CC)),$(if $(shell command -v ld.lld-14),-fuse-ld=lld),$(if $(shell command -v ld.gold),-fuse-ld=gold))

# llhttp is generated C of Debian's node-llhttp, unpacked by .ci/install or installed; it becomes part of libcodec, without
# our warnings. Its two modes differ in what they let pass.
LLHTTP_ROOT   := $(if $(wildcard build/unpacked/usr/share/llhttp/llhttp.c),build/unpacked/usr,/usr)
LLHTTP_CFLAGS := -isystem $(LLHTTP_ROOT)/share/include/llhttp -DLLHTTP_STRICT_MODE=1
LLHTTP_OBJ     = $(patsubst %,$(BUILD)/obj/llhttp/%.o,llhttp api http)

# Lowest floor first; archives are linked in the reverse order.
ROOMS   := base shm codec conf net db store auth ximss doors proc
srcdir   = $(if $(filter shm,$1),shm,$(if $(filter tools,$1),tools/lib,src/$1))
room_src = $(wildcard $(call srcdir,$1)/*.c) $(if $(filter ximss,$1),$(wildcard src/ximss/ops/*.c))
room_obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(call room_src,$1)) $(if $(filter codec,$1),$(LLHTTP_OBJ))
LIBS    := $(foreach r,$(ROOMS),$(if $(call room_src,$r),$(BUILD)/lib/lib$r.a))
rev      = $(if $1,$(call rev,$(wordlist 2,$(words $1),$1)) $(firstword $1))
LINK     = $(call rev,$(LIBS))

L_base := -lmd -lbsd
L_xml  := $(shell pkg-config --libs libxml-2.0 2>/dev/null)
LDLIBS := $(L_xml) $(shell pkg-config --libs libuv openssl sqlite3 libgsasl libcrypt gmime-3.0 libzstd libseccomp 2>/dev/null) -lunistring $(L_base)
L_tool := $(L_xml) $(shell pkg-config --libs gmime-3.0 openssl ncursesw jansson 2>/dev/null) -lm $(L_base)

all: packages-build
	@$(MAKE) --no-print-directory programs

packages-%:
	@.ci/install $*

# --- objects and archives

# What objects are made with; they are made anew when it changes.
FLAGS := $(CC) $(CPPFLAGS) $(CFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || echo '$(subst ','\'',$(FLAGS))' > $@

.SECONDEXPANSION:
define room_rule
$(BUILD)/lib/lib$1.list: FORCE
	@mkdir -p $$(@D)
	@echo $(call room_obj,$1) | cmp -s - $$@ || echo $(call room_obj,$1) > $$@
$(BUILD)/lib/lib$1.a: $(call room_obj,$1) $(BUILD)/lib/lib$1.list
	@mkdir -p $$(@D)
	@rm -f $$@
	@ar rcs $$@ $$(filter %.o,$$^)
endef
$(foreach r,$(ROOMS) tools,$(eval $(call room_rule,$r)))

GEN := $(BUILD)/gen/optag_rows.h $(BUILD)/gen/optag_sorted.h

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(GEN)
	@mkdir -p $(@D)
	@echo "  CC  $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(LLHTTP_OBJ): $(BUILD)/obj/llhttp/%.o: $(LLHTTP_ROOT)/share/llhttp/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	@echo "  CC  llhttp/$*.c"
	@$(CC) $(LLHTTP_CFLAGS) $(CFLAGS) -w -c -o $@ $<

# The part of ops.tbl that codec may know: element, monitor text, flags. optag_sorted.h, made with it: the names in
# lower case and in byte order, for the look-up.
$(GEN) &: src/ximss/ops.tbl
	@mkdir -p $(@D)
	@sed -n 's/^OP(\([A-Z0-9_]*\), "\([^"]*\)".*/OP_SORTED(\1, "\L\2")/p' $< | \
	    LC_ALL=C sort -t '"' -k 2,2 > $(@D)/optag_sorted.h
	@grep '^OP(' $< > $(@D)/optag_rows.h

# --- programs: build/ximssd, and build/NAME from tools/NAME.c or tools/NAME/*.c; tools/lib is what tools share

# ximss-top becomes ximss-top-live on a terminal; all but its main is in both.
more_ximss-top-live := $(filter-out %/main.c,$(wildcard tools/ximss-top/*.c))
tool_src = $(wildcard tools/$1.c tools/$1/*.c) $(more_$1)
tool_obj = $(patsubst %.c,$(BUILD)/obj/%.o,$(call tool_src,$1))
TOOLS    := $(sort $(patsubst tools/%.c,%,$(wildcard tools/*.c)) \
              $(filter-out lib,$(patsubst tools/%/,%,$(dir $(wildcard tools/*/*.c)))))
TOOL_LIBS = $(BUILD)/lib/libtools.a $(call rev,$(filter %/libbase.a %/libshm.a %/libcodec.a %/libconf.a,$(LIBS)))
DAEMON   := $(if $(wildcard src/main.c),ximssd)
PROGRAMS := $(addprefix $(BUILD)/,$(DAEMON) $(TOOLS))
# The test build (design 9.8): the files that ask for TEST_CLOCK are compiled a second time with it and linked in front
# of the archives. No header may ask (tests/lint), so all others are the same.
TEST_PROGRAMS := $(addprefix $(BUILD)/test/,$(DAEMON) $(TOOLS))
TEST_SRC      := $(shell grep -lsw TEST_CLOCK src/*/*.c shm/*.c)
TEST_OBJ      := $(patsubst %.c,$(BUILD)/test/obj/%.o,$(TEST_SRC))
TEST_TOOL_OBJ := $(filter $(BUILD)/test/obj/src/base/%,$(TEST_OBJ))

programs: $(PROGRAMS)
test-programs: $(TEST_PROGRAMS)

$(BUILD)/test/obj/%.o: %.c $(BUILD)/flags | $(GEN)
	@mkdir -p $(@D)
	@echo "  CC  $< (test clock)"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -DTEST_CLOCK -MMD -MP -c -o $@ $<

link = echo "  LD  $@"; mkdir -p $(@D); $(CC) $(LDFLAGS) $(if $(SAN)$(filter-out $(PROGRAMS),$@),$(TEST_LD)) -o $@ $(filter %.o,$^)
$(BUILD)/ximssd: $(BUILD)/obj/src/main.o $(LIBS)
	@$(link) $(LINK) $(LDLIBS)
$(BUILD)/test/ximssd: $(BUILD)/obj/src/main.o $(TEST_OBJ) $(LIBS)
	@$(link) $(LINK) $(LDLIBS)
define tool_rule
$(BUILD)/$1: $(call tool_obj,$1) $(TOOL_LIBS)
	@$$(link) $(TOOL_LIBS) $(L_tool)
$(BUILD)/test/$1: $(call tool_obj,$1) $(TEST_TOOL_OBJ) $(TOOL_LIBS)
	@$$(link) $(TOOL_LIBS) $(L_tool)
endef
$(foreach t,$(TOOLS),$(eval $(call tool_rule,$t)))

# --- unit tests: tests/unit/ROOM/test_x.c, linked with the archives of ROOM and below and with the other files of
# its folder

UNIT := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*/test_*.c))
upto  = $(if $1,$(if $(filter $2,$(firstword $1)),$2,$(firstword $1) $(call upto,$(wordlist 2,$(words $1),$1),$2)))
libs_upto = $(filter $(patsubst %,$(BUILD)/lib/lib%.a,$(call upto,$(ROOMS),$1)),$(LIBS))
unit_room = $(firstword $(subst /, ,$1))
unit_help = $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out tests/unit/$1/test_%,$(wildcard tests/unit/$1/*.c)))
$(BUILD)/unit/%: $(BUILD)/obj/tests/unit/%.o $$(call unit_help,$$(call unit_room,$$*)) $$(call libs_upto,$$(call unit_room,$$*))
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) $(TEST_LD) -o $@ $(filter %.o,$^) $(call rev,$(filter %.a,$^)) $(LDLIBS) -lcmocka -lm
unit: $(UNIT)
	@for t in $(UNIT); do $$t || exit 1; done
# make unit-codec: the tests of one room
unit-%: $$(filter $(BUILD)/unit/$$*/$$(percent),$$(UNIT))
	@for t in $(filter $(BUILD)/unit/$*/%,$(UNIT)); do $$t || exit 1; done
percent := %

# --- fuzz targets: tests/fuzz/fuzz_x.c, linked with the archives up to the highest room that it includes.
# build/replay/fuzz_x runs it over files; build/fuzz/fuzz_x is the libFuzzer program.

FUZZ      := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAY    := $(addprefix $(BUILD)/replay/,$(FUZZ))
fuzz_uses  = $(shell sed -n 's,^\#include "\([a-z]*\)/.*,\1,p' tests/fuzz/$1.c)
fuzz_room  = $(lastword base $(filter $(call fuzz_uses,$1),$(ROOMS)))
$(BUILD)/replay/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/replay.o $$(call libs_upto,$$(call fuzz_room,$$*))
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) $(TEST_LD) -o $@ $(filter %.o,$^) $(call rev,$(filter %.a,$^)) $(LDLIBS) -lm
replay: $(REPLAY)

$(BUILD)/libfuzzer/%: $(BUILD)/obj/tests/fuzz/%.o $$(call libs_upto,$$(call fuzz_room,$$*))
	@mkdir -p $(@D)
	@$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) $(call rev,$(filter %.a,$^)) $(LDLIBS) -lm
libfuzzer: $(addprefix $(BUILD)/libfuzzer/,$(FUZZ))

# Their reports need lines, not types: the rest of what -g writes costs a sixth of the compiler's time.
SAN_OPT  := -O1 -g1
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
fuzz: packages-build packages-check
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang-14 OPT=-O1 SAN="$(SANITIZE) -fsanitize=fuzzer-no-link" libfuzzer
	@for t in $(FUZZ); do tests/fuzz/run $(BUILD)/fuzz/libfuzzer/$$t $(FUZZ_SECONDS) || exit 1; done

# Prints digests as JSON for tests/mail; -t measures.
$(BUILD)/dump-digest: $(BUILD)/obj/tests/mail/dump_digest.o $$(call libs_upto,codec)
	@$(link) $(call rev,$(filter %.a,$^)) $(L_tool)

# Prints what the codecs of the HTTP door make of their input, for tests/web.
$(BUILD)/dump-web: $(BUILD)/obj/tests/web/dump_web.o $$(call libs_upto,codec)
	@$(link) $(call rev,$(filter %.a,$^)) $(L_tool)

# Prints what streams of HTTP requests are read as, for tests/attack.
$(BUILD)/dump-http1: $(BUILD)/obj/tests/attack/dump_http1.o $$(call libs_upto,codec)
	@$(link) $(call rev,$(filter %.a,$^)) $(L_tool)

# What is left of HTML, for tests/html.
$(BUILD)/clean-html: $(BUILD)/obj/tests/html/clean_html.o $$(call libs_upto,codec)
	@$(link) $(call rev,$(filter %.a,$^)) $(L_tool)

# The page of a message, for tests/html.
$(BUILD)/format-message: $(BUILD)/obj/tests/html/format_message.o $$(call libs_upto,ximss)
	@$(link) $(call rev,$(filter %.a,$^)) $(LDLIBS)

# Local times by the table of time zones, for tests/time.
$(BUILD)/zone-time: $(BUILD)/obj/tests/time/zone_time.o $$(call libs_upto,proc)
	@$(link) $(call rev,$(filter %.a,$^)) $(LDLIBS)

# Becomes a role and tries what it must not do, for tests/rights.
$(BUILD)/acts: $(BUILD)/obj/tests/rights/acts.o $$(call libs_upto,proc)
	@$(link) $(call rev,$(filter %.a,$^)) $(LDLIBS)

# Failed logins whose instructions tests/login counts.
$(BUILD)/same-work: $(BUILD)/obj/tests/login/same_work.o $$(call libs_upto,auth)
	@$(link) $(call rev,$(filter %.a,$^)) $(LDLIBS)

# --- tests

# Preloaded by tests/fault. No sanitizer in it: the program's own is enough.
INJECT := $(wildcard tests/fault/*.c)
$(BUILD)/inject.so: $(INJECT) $(wildcard tests/fault/*.h) tests/fault/calls.tbl $(BUILD)/flags
	@echo "  LD  $@"
	@$(CC) -D_GNU_SOURCE -std=c17 -g -O2 -fPIC $(WARN) -shared -o $@ $(INJECT)

tests: $(UNIT) $(REPLAY) $(BUILD)/dump-digest $(BUILD)/dump-web $(BUILD)/dump-http1 $(BUILD)/zone-time $(BUILD)/inject.so $(BUILD)/acts $(BUILD)/same-work $(BUILD)/clean-html $(BUILD)/format-message

check: packages-build packages-check
	@tests/run --build $(BUILD)

# What the tests of the house look at (installation, hardening, packages) is no different here.
san: packages-build packages-check
	@tests/run --build $(BUILD)/san --not lint,house CC=$(if $(filter file default,$(origin CC)),clang-14,$(CC)) OPT="$(SAN_OPT)" SAN="$(SANITIZE)"

# The part of it that every change has to pass (.ci/run): what reads hostile bytes, what is mapped and shared, HTTP.
SAN_SHORT := build,unit,replay,attack,mail,web,html,tls,scenario,shm,binding,storm
san-short: packages-build packages-check
	@XIMSSD_SOME=1 tests/run --build $(BUILD)/san --only $(SAN_SHORT) CC=$(if $(filter file default,$(origin CC)),clang-14,$(CC)) OPT="$(SAN_OPT)" SAN="$(SANITIZE)"

check-long: packages-build packages-check
	@tests/run --build $(BUILD) --long
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan OPT=-O1 SAN=-fsanitize=thread unit-shm

fault: packages-build packages-check
	@rm -f $(BUILD)/fault.txt
	@XIMSSD_FAULT_REPORT=$(abspath $(BUILD))/fault.txt tests/run --build $(BUILD) --long --only build,fault > $(BUILD)/fault.log; \
	    code=$$?; cat $(BUILD)/fault.txt $(BUILD)/fault.log; exit $$code

lint: packages-check
	@tests/run --build $(BUILD) --only lint

chroot-check:
	@tests/chroot/run

# --- the rest

run: packages-build
	@$(MAKE) --no-print-directory programs
	@BUILD=$(BUILD) tools/run-demo

bench: packages-build packages-bench
	@$(MAKE) --no-print-directory programs $(BUILD)/echo-bench
	@tests/bench/run $(BUILD)

# A bare echo server: the floor that figures are compared with.
$(BUILD)/echo-bench: $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/bench/*.c))
	@$(link) $(shell pkg-config --libs openssl 2>/dev/null)

conf: $(BUILD)/ximssd
	@$< -x sample > conf/ximssd.conf
	@$< -x man > conf/ximssd.conf.5
	@conf/completion/generate

SBIN := $(DESTDIR)$(PREFIX)/sbin
BIN  := $(DESTDIR)$(PREFIX)/bin
MAN  := $(DESTDIR)$(PREFIX)/share/man
SHARE := $(DESTDIR)$(PREFIX)/share
BASH  := $(SHARE)/bash-completion/completions
ZSH   := $(SHARE)/zsh/vendor-completions
FISH  := $(SHARE)/fish/vendor_completions.d
EXAMPLES := $(SHARE)/doc/ximssd/examples
LIB  := $(DESTDIR)$(PREFIX)/lib
UNITDIR ?= $(PREFIX)/lib/systemd/system
units = $(DESTDIR)$(UNITDIR)
etcdir  = $(if $(filter /usr,$(PREFIX)),,$(PREFIX))/etc/ximssd
etc   = $(DESTDIR)$(etcdir)
LIBEXEC := $(DESTDIR)$(PREFIX)/libexec/ximssd
PARTS   := ximss-top-live
install: programs
	install -d $(SBIN) $(BIN) $(MAN)/man1 $(MAN)/man5 $(MAN)/man8 $(etc) $(units) $(LIB)/sysusers.d $(LIB)/tmpfiles.d
	$(if $(DAEMON),install -m 755 $(BUILD)/ximssd $(SBIN))
	$(if $(filter ximssctl,$(TOOLS)),install -m 755 $(BUILD)/ximssctl $(SBIN))
	$(if $(filter-out ximssctl $(PARTS),$(TOOLS)),install -m 755 $(addprefix $(BUILD)/,$(filter-out ximssctl $(PARTS),$(TOOLS))) $(BIN))
	install -d $(LIBEXEC)
	install -m 755 $(addprefix $(BUILD)/,$(PARTS)) $(LIBEXEC)
	@for page in $(wildcard conf/*.[158] tools/*.[158] tools/*/*.[158]); do \
	    echo "install -m 644 $$page $(MAN)/man$${page##*.}"; install -m 644 $$page $(MAN)/man$${page##*.}/; done
	install -d $(BASH) $(ZSH) $(FISH)
	install -m 644 conf/completion/ximssctl.bash $(BASH)/ximssctl
	install -m 644 conf/completion/_ximssctl $(ZSH)/_ximssctl
	install -m 644 conf/completion/ximssctl.fish $(FISH)/ximssctl.fish
	install -d $(EXAMPLES)/nginx $(EXAMPLES)/haproxy
	install -m 644 conf/nginx/ximssd.conf $(EXAMPLES)/nginx
	install -m 644 conf/haproxy/ximssd.cfg $(EXAMPLES)/haproxy
	@for unit in ximssd.service ximssd.socket; do \
	    echo "install -m 644 conf/$$unit $(units)"; install -m 644 conf/$$unit $(units)/ && \
	    sed -i 's,/usr/sbin/,$(PREFIX)/sbin/,;s,/etc/ximssd/,$(etcdir)/,' $(units)/$$unit || exit 1; done
	install -m 644 conf/ximssd.sysusers $(LIB)/sysusers.d/ximssd.conf
	install -m 644 conf/ximssd.tmpfiles $(LIB)/tmpfiles.d/ximssd.conf
	install -m 644 conf/ximssd.conf $(etc)/ximssd.conf.sample
	test -e $(etc)/ximssd.conf || install -m 644 conf/ximssd.conf $(etc)/ximssd.conf

# conf/debian, in a copy of the tree
MAINTAINER ?= The ximssd authors <ximssd@packages.invalid>
DEB        := $(BUILD)/deb
deb-tree:
	@rm -rf $(DEB)/ximssd-$(VERSION)
	@tools/deb-tree $(DEB)/ximssd-$(VERSION) $(VERSION) '$(MAINTAINER)'
deb: packages-build packages-deb
	@rm -rf $(DEB)
	@$(MAKE) --no-print-directory deb-tree
	@cd $(DEB)/ximssd-$(VERSION) && env -u MAKEFLAGS -u MAKELEVEL dpkg-buildpackage -us -uc -j$$(nproc)
	@ls $(DEB)/*.deb
deb-check: deb
	@tests/deb/run $(DEB)

clean:
	rm -rf $(BUILD)

FORCE:
.PHONY: all run check check-long fault lint san san-short install deb deb-tree deb-check fuzz bench chroot-check clean programs test-programs tests unit replay libfuzzer conf FORCE
.PRECIOUS: $(BUILD)/obj/%.o $(BUILD)/test/obj/%.o $(BUILD)/unit/% $(BUILD)/replay/% $(BUILD)/libfuzzer/%
-include $(shell find $(BUILD)/obj $(BUILD)/test/obj -name '*.d' 2>/dev/null)
