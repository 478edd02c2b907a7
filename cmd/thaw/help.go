package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
	mangokong "github.com/alecthomas/mango-kong"
	"github.com/muesli/roff"

	"github.com/thawline/thaw/schema"
)

type helpCmd struct {
	Command []string `arg:"" optional:"" help:"Command, for example heal or webhooks list."`
}

func (helpCmd) Help() string { return "Example:\n  thaw help webhooks list" }

func (c *helpCmd) Run(parsed *kong.Context) error {
	_, err := parsed.Parse(append(c.Command, "--help")) // ends the program if the command exists
	return err
}

type versionCmd struct {
	JSON bool `help:"Print JSON."`
}

func (versionCmd) Help() string { return "Example:\n  thaw version --json" }

// A build is the JSON output of version.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // empty if it is not known
	Date    string `json:"date"`   // of the commit
	Go      string `json:"go"`
	// Schema is the newest migration in this program; thaw migrate status shows those of a database.
	Schema int64 `json:"schema"`
}

func (c *versionCmd) Run(e *env) error {
	b := build{Version: version(), Go: runtime.Version(), Schema: schema.Newest()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			switch setting.Key {
			case "vcs.revision":
				b.Commit = setting.Value
			case "vcs.time":
				b.Date = setting.Value
			}
		}
	}
	if c.JSON {
		return writeJSON(e.stdout, b)
	}
	printf(e.stdout, "thaw %s\ncommit %s, %s\nschema version %d\n%s\n", b.Version, orUnknown(b.Commit), orUnknown(b.Date), b.Schema, b.Go)
	return nil
}

func orUnknown(text string) string {
	if text == "" {
		return "unknown"
	}
	return text
}

type manCmd struct{}

func (manCmd) Help() string {
	return "Prints the manual page of all commands in the format of man.\n\nExample:\n  thaw man > /usr/local/share/man/man1/thaw.1"
}

func (manCmd) Run(e *env, parsed *kong.Context) error {
	_, err := e.stdout.Write([]byte(mangokong.NewManPage(1, parsed.Model).Build(roff.NewDocument()))) // trusted text with line breaks
	return err
}

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell: ${enum}."`
}

func (completionCmd) Help() string {
	return "Prints a script that completes commands and flags. The program itself answers, so the script stays valid after an update.\n\n" +
		"bash: add to ~/.bashrc the line source <(thaw completion bash)\nzsh: add to ~/.zshrc the line source <(thaw completion zsh)\n" +
		"fish: thaw completion fish > ~/.config/fish/completions/thaw.fish\n\nExample:\n  thaw completion bash"
}

// completions are scripts that call the program with COMP_LINE set; run answers then.
var completions = map[string]string{
	"bash": "complete -o default -C thaw thaw\n",
	// Also works as a file _thaw in $fpath: zsh then runs it as a function at the first completion.
	"zsh": `#compdef thaw
autoload -U +X bashcompinit && bashcompinit
complete -o default -C thaw thaw
if [[ ${funcstack[1]} == _thaw ]]; then _bash_complete -o default -C thaw; fi
`,
	"fish": `function __complete_thaw
    set -lx COMP_LINE (commandline -cp)
    test -z (commandline -ct)
    and set COMP_LINE "$COMP_LINE "
    thaw
end
complete -c thaw -a "(__complete_thaw)"
`,
}

func (c *completionCmd) Run(e *env) error {
	script, known := completions[c.Shell]
	if !known {
		return fmt.Errorf("no completion for the shell %q", c.Shell)
	}
	_, err := e.stdout.Write([]byte(script)) // trusted text with line breaks
	return err
}
