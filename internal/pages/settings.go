package pages

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/thawline/thaw/internal/readmodel"
)

type settingsPage struct {
	Fleet   []readmodel.Setting
	Process []readmodel.ProcessSetting
}

func (s *site) settings(r *http.Request) (view, error) {
	settings, err := readmodel.FleetSettings(r.Context(), s.Store)
	return view{"settings.html", "Settings", settingsPage{settings, s.Settings}}, err
}

// flagOf returns the flag of a fleet setting.
func flagOf(name string) string { return "--" + strings.ReplaceAll(name, "_", "-") }

// settingValue formats a value of a fleet setting.
func settingValue(s readmodel.Setting, value float64) string {
	switch {
	case s.IsDuration:
		return span(time.Duration(value * float64(time.Second)))
	case s.IsSwitch && value == 0:
		return "off"
	case s.IsSwitch:
		return "on"
	case strings.HasSuffix(s.Name, "_percent"):
		return count(int64(value)) + " %"
	default:
		return count(int64(value))
	}
}

// checkOneOf rejects a parameter that is none of the values of a filter.
func checkOneOf(name, value string, values []string) error {
	if value == "" {
		return nil
	}
	for _, v := range values {
		if v == value {
			return nil
		}
	}
	return badRequestError{fmt.Sprintf("%q is no %s. Choose one of: %s.", value, name, strings.Join(values, ", "))}
}
