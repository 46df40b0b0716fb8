package io.github.superlens.core;

import java.io.File;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

import io.github.superlens.engine.EngineException;

/** The values of a command's parameters: checked, typed, and only those that were given. Immutable. */
public final class Values {

	private final CommandSpec spec;
	private final Map<String, Object> given;

	private Values(CommandSpec spec, Map<String, Object> given) {
		this.spec = spec;
		this.given = Collections.unmodifiableMap(given);
	}

	/**
	 * Reads the values of a macro or a dialog.
	 *
	 * @throws EngineException when a key is unknown, a value is not what its parameter takes, or one that must be given is not
	 */
	public static Values read(CommandSpec spec, MacroOptions options) throws EngineException {
		for (final String key : options.values().keySet()) {
			if (spec.param(key) == null) throw EngineException.user(key + " is not a parameter of \"" + spec.label() + "\"; expected " + keys(spec) + ".");
		}
		final Map<String, Object> given = new LinkedHashMap<>();
		for (final ParamSpec param : spec.params()) {
			final Object value = param.read(options.get(param.key()));
			if (value != null) given.put(param.key(), value);
			else if (param.required()) throw EngineException.user(param.key() + " is missing: " + decapitalised(param.help()));
		}
		return new Values(spec, given);
	}

	/** The command whose values these are. */
	public CommandSpec spec() {
		return spec;
	}

	/** Whether a value was given. */
	public boolean has(String key) {
		return given.containsKey(key);
	}

	/** A value as text; the standard one, or empty, when it was not given. */
	public String text(String key) {
		final Object value = given.get(key);
		if (value != null) return value.toString();
		final ParamSpec param = spec.param(key);
		return param == null ? "" : param.standard();
	}

	/** Whether a flag is set. */
	public boolean flag(String key) {
		return Boolean.parseBoolean(text(key));
	}

	/** What the engine takes of it; paths in full, because the engine has another working folder. */
	public Map<String, Object> forEngine() {
		final Map<String, Object> parameters = new LinkedHashMap<>();
		for (final ParamSpec param : spec.params()) {
			final Object value = given.get(param.key());
			if (param.forEngine() && value != null) parameters.put(param.key(), param.isPath() ? Folders.absolute(value.toString()) : value);
		}
		return parameters;
	}

	/** The options of a macro that gives the same values: what is standard anyway is left out, and paths have slashes, which mean the same in every macro. */
	public MacroOptions options() {
		final Map<String, String> options = new LinkedHashMap<>();
		for (final Map.Entry<String, Object> value : given.entrySet()) {
			final ParamSpec param = spec.param(value.getKey());
			final String text = text(value.getValue());
			if (!text.equals(param.standard())) options.put(value.getKey(), param.isPath() ? text.replace(File.separatorChar, '/') : text);
		}
		return MacroOptions.of(options);
	}

	private static String text(Object value) {
		if (!(value instanceof Double)) return value.toString();
		final double number = (Double) value;
		return number == Math.rint(number) && Math.abs(number) < 1e15 ? Long.toString((long) number) : value.toString();
	}

	private static String keys(CommandSpec spec) {
		if (spec.params().isEmpty()) return "none at all";
		final StringBuilder keys = new StringBuilder();
		for (final ParamSpec param : spec.params()) keys.append(keys.length() == 0 ? "" : ", ").append(param.key());
		return keys.toString();
	}

	private static String decapitalised(String sentence) {
		return sentence.isEmpty() ? "give it." : Character.toLowerCase(sentence.charAt(0)) + sentence.substring(1);
	}
}
