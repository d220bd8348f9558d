import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

// What people read goes through `trans`, so that it can be translated.
const UNTRANSLATED = 'People read this: put it through `trans`.';
const WORDS = ':matches(Literal[value=/[A-Za-z]/],TemplateLiteral[quasis.0.value.raw=/[A-Za-z]/])';
const TOLD = '/^(label|caption|title|placeholder|hint|textContent)$/';

export default tseslint.config(eslint.configs.recommended, ...tseslint.configs.strictTypeChecked, {
  languageOptions: {
    parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname }
  },
  rules: {
    // Signals take the object that a slot is called on.
    '@typescript-eslint/unbound-method': 'off',
    '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    '@typescript-eslint/no-confusing-void-expression': 'off',
    '@typescript-eslint/no-extraneous-class': 'off',
    'no-restricted-syntax': [
      'error',
      ...[
        'JSXText[value=/[A-Za-z]/]',
        'JSXAttribute[name.name=/^(title|placeholder|alt|aria-label)$/] > Literal',
        `Property[key.name=${TOLD}] > ${WORDS}.value`,
        `AssignmentExpression[left.property.name=${TOLD}] > ${WORDS}.right`,
        `CallExpression[arguments.0.value="aria-label"] > ${WORDS}:nth-child(2)`,
        // A sentence, wherever it stands; what is thrown as a plain error is a fault of ours.
        ':not(CallExpression,BinaryExpression,NewExpression,Property) > Literal[value=/^[A-Z].* .*[.?!…]$/]',
        'CallExpression:not([callee.property.name=/^(__|_n)$/]) > Literal[value=/^[A-Z].* .*[.?!…]$/]',
        'TemplateLiteral[quasis.0.value.raw=/^[A-Z][a-z]+ [a-z]/]'
      ].map(selector => ({ selector, message: UNTRANSLATED }))
    ]
  }
});
