package postgres

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrNotInstalled says that no PostgreSQL server is installed where [Find] looks.
var ErrNotInstalled = errors.New("no PostgreSQL server is installed")

// homes are where packages put the programs, beside the folders of PATH.
var homes = []string{
	"/usr/lib/postgresql/*/bin",             // Debian
	"/usr/pgsql-*/bin",                      // Red Hat
	"/usr/local/pgsql/bin",                  // built from source
	"/usr/local/bin",                        // FreeBSD
	"/opt/homebrew/opt/postgresql*/bin",     // Homebrew
	"/usr/local/opt/postgresql*/bin",        // Homebrew on Intel
	"/Library/PostgreSQL/*/bin",             // the installer for macOS
	"/Applications/Postgres.app/*/*/*/bin/", // Postgres.app
}

// Find returns the folder with the programs of the newest PostgreSQL that is
// installed, or [ErrNotInstalled].
func Find() (string, error) {
	best, newest := "", 0
	for _, dir := range candidates() {
		if version := versionIn(dir); version > newest {
			best, newest = dir, version
		}
	}
	if best == "" {
		return "", ErrNotInstalled
	}
	return best, nil
}

func candidates() []string {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range homes {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		dirs = append(dirs, found...)
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	var all []string
	for _, dir := range dirs {
		if both(dir) && !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	return all
}

// both reports whether a folder has a server and the program that makes its data.
func both(dir string) bool {
	return executable(filepath.Join(dir, "postgres")) && executable(filepath.Join(dir, "initdb"))
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// versionIn returns the major version of the server in dir, 0 if it does not
// say. It prints "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
func versionIn(dir string) int {
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0
	}
	words := strings.Fields(string(out))
	if len(words) < 3 {
		return 0
	}
	major, _, _ := strings.Cut(words[2], ".")
	digits := strings.TrimRight(major, "abcdefghijklmnopqrstuvwxyz") // "18beta1"
	version, err := strconv.Atoi(cmp.Or(digits, "0"))
	if err != nil {
		return 0
	}
	return version
}

// failed names a program that ended with an error, and what it printed.
func failed(doing string, err error, out []byte) error {
	return fmt.Errorf("%s: %w\n%s", doing, err, strings.TrimSpace(string(out)))
}
