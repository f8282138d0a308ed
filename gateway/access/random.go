package access

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// prefix begins random tokens, so that they are told from others, and found by
// those who search for secrets in what was published.
const prefix = "annals_"

// randomBytes is how much of a token is random: nobody guesses 256 bits, so a hash
// without salt and cost keeps it.
const randomBytes = 32

const (
	maxTokenFile = 4 << 20
	maxTokens    = 10_000
)

const hashName = "sha256:"

type digest = [sha256.Size]byte

func digestOf(token string) digest { return sha256.Sum256([]byte(token)) }

func isRandom(token string) bool { return strings.HasPrefix(token, prefix) }

// NewToken makes a token for a principal with roles, and its line for the token
// file, which does not tell the token. The error is an [*store.InvalidError].
func NewToken(principal string, roles ...string) (token, line string, err error) {
	if err := checkPrincipal(principal); err != nil {
		return "", "", err
	}
	if err := checkRoles(roles); err != nil {
		return "", "", err
	}
	secret := make([]byte, randomBytes)
	if _, err := rand.Read(secret); err != nil {
		return "", "", err
	}
	token = prefix + base64.RawURLEncoding.EncodeToString(secret)
	sum := digestOf(token)
	return token, hashName + hex.EncodeToString(sum[:]) + " " + strings.Join(roles, ",") + " " + principal, nil
}

func checkPrincipal(name string) error {
	invalid := func(reason string) error {
		return &store.InvalidError{What: "principal", Value: name, Reason: reason}
	}
	switch {
	case name == "" || len(name) > store.MaxIDBytes:
		return invalid("want 1 to " + strconv.Itoa(store.MaxIDBytes) + " bytes")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return invalid("it has something that does not print")
	case strings.TrimSpace(name) != name || name[0] == '#':
		return invalid("it begins or ends with a space, or begins with #")
	}
	return nil
}

func checkRoles(roles []string) error {
	if len(roles) == 0 {
		return &store.InvalidError{What: "role", Reason: "want at least one of " + strings.Join(gateway.Roles(), ", ")}
	}
	for _, r := range roles {
		if !slices.Contains(gateway.Roles(), r) {
			return &store.InvalidError{What: "role", Value: r, Reason: "want one of " + strings.Join(gateway.Roles(), ", ")}
		}
	}
	return nil
}

// entry is a line of the token file.
type entry struct {
	sum digest
	who gateway.Identity
}

// find compares with all entries, however early one fits: the time that it takes
// tells nothing.
func find(all []entry, sum digest) (who gateway.Identity, err error) {
	found := false
	for i := range all {
		if subtle.ConstantTimeCompare(sum[:], all[i].sum[:]) == 1 {
			who, found = all[i].who, true
		}
	}
	if !found {
		return who, fmt.Errorf("%w: the token is none of those that are known here", gateway.ErrUnauthenticated)
	}
	return who, nil
}

// readTokens takes over what the token file says. If there is none any more, no
// token is known; one that makes no sense changes nothing.
func (a *Access) readTokens() error {
	if a.config.TokenFile == "" {
		return nil
	}
	data, err := readFile(a.config.TokenFile, maxTokenFile)
	if errors.Is(err, fs.ErrNotExist) && len(*a.tokens.Load()) > 0 {
		a.tokens.Store(&[]entry{})
	}
	if err != nil {
		return &store.InvalidError{What: "token file", Value: a.config.TokenFile, Reason: err.Error()}
	}
	all, err := parseTokens(data)
	if err != nil {
		return err
	}
	a.tokens.Store(&all)
	return nil
}

// readFile reads a file that not everybody may write: whoever writes it makes tokens.
func readFile(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode(); mode.Perm()&0o002 != 0 && runtime.GOOS != "windows" { // which has no such modes
		return nil, fmt.Errorf("its mode is %04o: everybody may write it, and who does decides who comes in; want 0600", mode.Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("more than %d bytes", most)
	}
	return data, err
}

// parseTokens reads lines of HASH ROLE[,ROLE…] PRINCIPAL. Empty lines and those
// that begin with # say nothing. The error is an [*store.InvalidError] that names
// the line.
func parseTokens(data []byte) (all []entry, err error) {
	number := 0
	for raw := range bytes.Lines(data) {
		number++
		line := strings.TrimSpace(string(raw))
		if line == "" || line[0] == '#' {
			continue
		}
		e, err := parseEntry(line)
		if err == nil && len(all) == maxTokens {
			err = fmt.Errorf("more than %d tokens", maxTokens)
		}
		if err != nil {
			return nil, &store.InvalidError{What: "token file, line", Value: strconv.Itoa(number), Reason: err.Error()}
		}
		all = append(all, e)
	}
	return all, nil
}

func parseEntry(line string) (e entry, err error) {
	hash, rest, _ := strings.Cut(line, " ")
	roles, principal, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	text, isHash := strings.CutPrefix(hash, hashName)
	sum, err := hex.DecodeString(text)
	if !isHash || err != nil || len(sum) != len(e.sum) {
		return e, errors.New("want sha256: and 64 hex digits, roles and a principal") // and what stands there is not shown: it may be a token
	}
	e.sum = digest(sum)
	e.who.Principal, e.who.Roles = strings.TrimSpace(principal), strings.Split(roles, ",")
	if err := checkPrincipal(e.who.Principal); err != nil {
		return e, err
	}
	return e, checkRoles(e.who.Roles)
}
