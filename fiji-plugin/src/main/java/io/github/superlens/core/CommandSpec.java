package io.github.superlens.core;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

import io.github.superlens.engine.Json;

/** One command: its name in the menu and its parameters. Dialog, macro, recorder and command twin all grow from it. Immutable. */
public final class CommandSpec {

	private static final Map<String, Object> COMMANDS = load();

	private final String name;
	private final Map<String, Object> words;
	private final List<ParamSpec> params;

	private CommandSpec(String name, Map<String, Object> words) {
		this.name = name;
		this.words = words;
		final List<ParamSpec> read = new ArrayList<>();
		for (final Object param : Json.array(words.get("params"))) read.add(new ParamSpec(Json.object(param)));
		params = Collections.unmodifiableList(read);
	}

	/** The command of a name like {@code enhance}; without parameters when the list does not know it. */
	public static CommandSpec of(String name) {
		return new CommandSpec(name, Json.object(COMMANDS.get(name)));
	}

	/** Name of the command in requests and in the menu's table. */
	public String name() {
		return name;
	}

	/** Label of the menu item, like {@code Superlens Enhance...}. */
	public String label() {
		return Json.text(words, "label", "Superlens");
	}

	/** What the command does, in a sentence. */
	public String help() {
		return Json.text(words, "help", "");
	}

	/** Its parameters, in the order of the dialog. */
	public List<ParamSpec> params() {
		return params;
	}

	/** The parameter of a key, or null. */
	public ParamSpec param(String key) {
		return params.stream().filter(param -> param.key().equals(key)).findFirst().orElse(null);
	}

	private static Map<String, Object> load() {
		try (BufferedReader reader = new BufferedReader(new InputStreamReader(CommandSpec.class.getResourceAsStream("params.json"), StandardCharsets.UTF_8))) {
			final String text = reader.lines().collect(Collectors.joining("\n"));
			return Json.object(Json.object(Json.parse(text)).get("commands"));
		}
		catch (IOException broken) {
			throw new UncheckedIOException("the plugin's jar is damaged; install it again", broken);
		}
	}
}
