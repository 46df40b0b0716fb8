package io.github.superlens.image;

import java.util.Locale;

/** ImageJ's units of length and time to nanometres and seconds. */
final class Units {

	/** Largest sampling that a microscope has; beyond it stands what programs write as print resolution. */
	private static final double LARGEST_NM = 1e5;

	private Units() {
		// converts
	}

	/** A length in nanometres; null when the unit is none of length, or the value cannot be a microscope's sampling. */
	static Double nanometres(double length, String unit) {
		final double value = rounded(length * nanometresIn(unit));
		return value > 0 && value <= LARGEST_NM ? value : null;
	}

	private static double nanometresIn(String unit) {
		switch (unit == null ? "" : unit.trim().toLowerCase(Locale.ROOT).replace('\u03bc', '\u00b5')) {
			case "nm":
			case "nanometer":
			case "nanometers":
			case "nanometre":
				return 1;
			case "um":
			case "\u00b5m":
			case "\\u00b5m":
			case "micron":
			case "microns":
			case "micrometer":
			case "micrometers":
			case "micrometre":
				return 1e3;
			case "mm":
			case "millimeter":
			case "millimetre":
				return 1e6;
			case "cm":
			case "centimeter":
			case "centimetre":
				return 1e7;
			case "m":
			case "meter":
			case "metre":
				return 1e9;
			case "\u00e5":
			case "angstrom":
				return 0.1;
			case "inch":
			case "inches":
				return 2.54e7;
			default:
				return Double.NaN;
		}
	}

	static Double seconds(double interval, String unit) {
		final String word = unit == null ? "sec" : unit.trim().toLowerCase(Locale.ROOT);
		final double factor;
		if (word.equals("ms") || word.startsWith("msec") || word.startsWith("milli")) factor = 1e-3;
		else if (word.startsWith("min")) factor = 60;
		else if (word.equals("h") || word.startsWith("hour")) factor = 3600;
		else if (word.equals("s") || word.startsWith("sec")) factor = 1;
		else return null;
		return interval > 0 ? rounded(interval * factor) : null;
	}

	/** Without the last digits that the conversion of units leaves. */
	private static double rounded(double value) {
		return Double.isNaN(value) || Double.isInfinite(value) ? Double.NaN : Double.parseDouble(String.format(Locale.ROOT, "%.9g", value));
	}
}
