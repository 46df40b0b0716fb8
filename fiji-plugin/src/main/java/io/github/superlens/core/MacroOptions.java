package io.github.superlens.core;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * The options of a macro's {@code run("Command...", "key=value other=[two words] flag")}, read and written. Immutable.
 * <p>
 * Every value may stand in brackets, keys are compared in lower case, and a bare key is a flag that is set. Unlike ImageJ's own reader this one
 * never finds {@code size} inside {@code patch_size}, needs no dialog, and keeps what it does not know, so that it can be refused.
 */
public final class MacroOptions {

	private final Map<String, String> values;

	private MacroOptions(Map<String, String> values) {
		this.values = Collections.unmodifiableMap(values);
	}

	/** Makes options of keys and values, in their order. */
	public static MacroOptions of(Map<String, String> values) {
		return new MacroOptions(new LinkedHashMap<>(values));
	}

	/**
	 * Reads options.
	 *
	 * @param text as in a macro; null for none
	 * @return what it says; of a key that is given twice the last counts
	 * @throws IllegalArgumentException when a bracket or quote is not closed, with the key
	 */
	public static MacroOptions parse(String text) {
		final Map<String, String> values = new LinkedHashMap<>();
		final String options = text == null ? "" : text;
		int at = 0;
		while (at < options.length()) {
			if (Character.isWhitespace(options.charAt(at))) {
				at++;
				continue;
			}
			final int start = at;
			while (at < options.length() && options.charAt(at) != '=' && !Character.isWhitespace(options.charAt(at))) at++;
			final String key = options.substring(start, at).toLowerCase(Locale.ROOT);
			if (at >= options.length() || options.charAt(at) != '=') {
				values.put(key, "true");
				continue;
			}
			final int end = end(options, at + 1, key);
			values.put(key, unwrapped(options.substring(at + 1, end)));
			at = end;
		}
		return new MacroOptions(values);
	}

	/** Keys and values in the order given; a bare key has the value {@code true}. */
	public Map<String, String> values() {
		return values;
	}

	/** The value of a key, or null. */
	public String get(String key) {
		return values.get(key);
	}

	/**
	 * The text that reads as these options.
	 *
	 * @throws IllegalArgumentException when a value has brackets that do not balance and quotes too, which no macro can hold
	 */
	public String format() {
		final StringBuilder text = new StringBuilder();
		for (final Map.Entry<String, String> option : values.entrySet()) {
			if (text.length() > 0) text.append(' ');
			text.append(option.getKey()).append('=').append(wrapped(option.getKey(), option.getValue()));
		}
		return text.toString();
	}

	@Override
	public String toString() {
		return format();
	}

	private static int end(String options, int start, String key) {
		final char first = start < options.length() ? options.charAt(start) : ' ';
		if (first == '[') return closing(options, start, key);
		if (first == '\'') {
			final int quote = options.indexOf('\'', start + 1);
			if (quote < 0) throw new IllegalArgumentException(key + " begins with a quote ' that is not closed; write " + key + "=[...].");
			return quote + 1;
		}
		int at = start;
		while (at < options.length() && !Character.isWhitespace(options.charAt(at))) at++;
		return at;
	}

	private static int closing(String options, int start, String key) {
		int depth = 0;
		for (int at = start; at < options.length(); at++) {
			if (options.charAt(at) == '[') depth++;
			else if (options.charAt(at) == ']' && --depth == 0) return at + 1;
		}
		throw new IllegalArgumentException(key + " begins with a bracket [ that is not closed; write " + key + "=[...].");
	}

	private static String unwrapped(String value) {
		final boolean wrapped = value.startsWith("[") || value.startsWith("'");
		return wrapped ? value.substring(1, value.length() - 1) : value;
	}

	private static String wrapped(String key, String value) {
		if (value.matches("[^\\s\\[\\]'=\"]+")) return value;
		if (balanced(value)) return "[" + value + "]";
		if (value.indexOf('\'') < 0) return "'" + value + "'";
		throw new IllegalArgumentException(key + " is " + value + "; a macro cannot hold brackets that do not balance together with a quote. Rename the file.");
	}

	private static boolean balanced(String value) {
		int depth = 0;
		for (final char c : value.toCharArray()) {
			if (c == '[') depth++;
			else if (c == ']' && --depth < 0) return false;
		}
		return depth == 0;
	}
}
