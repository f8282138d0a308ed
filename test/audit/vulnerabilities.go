package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// The exit status of the checker, and what it says, when it found something and when
// it could not read its database.
const (
	foundSome  = 3
	noDatabase = "fetching vulnerabilities"
)

// vulnerabilities has the checker look for what is known to be wrong and reached by
// our code. The checker reads the database that GOVULNDB names, or else the public one.
func vulnerabilities(ctx context.Context, o options, out io.Writer) (string, error) {
	args := []string{}
	if database := os.Getenv("GOVULNDB"); database != "" {
		args = append(args, "-db", database)
	}
	cmd := exec.CommandContext(ctx, o.checker, append(args, own+"/...")...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	switch ended, _ := errors.AsType[*exec.ExitError](err); {
	case err == nil:
		return "none", nil
	case ended != nil && ended.ExitCode() == foundSome:
		return "found", fmt.Errorf("known vulnerabilities are reached:\n%s", said.Bytes())
	case ended != nil && bytes.Contains(said.Bytes(), []byte(noDatabase)):
		return skipped(out, o.require, said.Bytes())
	default:
		return "failed", fmt.Errorf("%s: %w\n%s", o.checker, err, said.Bytes())
	}
}

// skipped says that there is no database.
func skipped(out io.Writer, require bool, why []byte) (string, error) {
	const word = "SKIPPED, NOT PASSED"
	if require {
		return word, fmt.Errorf("no database of vulnerabilities: %s", bytes.TrimSpace(why))
	}
	_, err := fmt.Fprintf(out, "\n!!! known vulnerabilities: %s: no database could be read (GOVULNDB names one): %s\n\n", word, bytes.TrimSpace(why))
	return word, err
}
